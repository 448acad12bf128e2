"""Colour code for the pages, line by line."""

from functools import cache

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bench.lesson.source import Code


def highlight_lines(code: Code) -> list[str]:
    """Return the HTML of every line."""
    return _highlight(code.text)


@cache
def _highlight(text: str) -> list[str]:
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return highlight(text, lexer, HtmlFormatter(nowrap=True)).split("\n")
