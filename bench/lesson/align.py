"""Align two pieces of code, so that what is the same stands beside each other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from bench.lesson.source import Code


@dataclass(frozen=True)
class Group:
    """Lines of both sides that stand beside each other.

    Attributes:
        is_same: whether they are the same on both sides.
        spans: first index and end of the lines, for each side.
    """

    is_same: bool
    spans: tuple[tuple[int, int], tuple[int, int]]


def align(left: Code | None, right: Code | None) -> list[Group]:
    """Return groups of lines that take up both codes from top to bottom."""
    texts = [[text for _, text in code.lines] if code else [] for code in (left, right)]
    groups: list[Group] = []
    for is_same, spans in _blocks(*texts):
        if groups and not is_same and not groups[-1].is_same:
            (a, _), (b, _) = groups.pop().spans
            spans = (a, spans[0][1]), (b, spans[1][1])
        groups.append(Group(is_same, spans))
    return groups


def _blocks(
    left: list[str], right: list[str]
) -> Iterator[tuple[bool, tuple[tuple[int, int], tuple[int, int]]]]:
    """Give the blocks of equal and of differing lines in their order.

    Lines without a word, such as a bracket, are equal in any two programs, and make no
    block of their own.
    """
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        has_words = any(re.search(r"\w{3}", line) for line in left[a:a_end])
        yield kind == "equal" and has_words, ((a, a_end), (b, b_end))
