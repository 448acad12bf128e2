"""What `python -m bench pairs` prints."""

import io

import pytest
from rich.console import Console

from bench.lesson.pairs import print_matched, print_topic, print_topics
from bench.lesson.topics import TOPICS, find_topic


def shown(function, *arguments, width: int) -> list[str]:
    """The lines that a function prints in a terminal of some width."""
    file = io.StringIO()
    function(*arguments, Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def test_programs_stand_beside_each_other_where_there_is_room():
    wide = shown(print_topic, find_topic("augmentation"), width=170)
    (together,) = [line for line in wide if "v2.RandomRotation" in line]
    assert "layers.RandomRotation(10 / 360)" not in together  # one line further down
    assert any("def make_augmentation() -> v2" in x and "-> layers" in x for x in wide)


def test_programs_stand_above_each_other_in_a_narrow_terminal():
    narrow = shown(print_topic, find_topic("augmentation"), width=80)
    heads = [line.split()[0] for line in narrow if "_impl/augmentation.py:" in line]
    assert heads == ["PyTorch", "Keras"]


def test_notes_say_why_and_how_much():
    lines = shown(print_topic, find_topic("freezing"), width=80)
    text = " ".join(line.strip() for line in lines)
    assert "[D01] Frozen batch norm PyTorch: requires_grad_(False), and " in text
    assert "Keras: backbone.trainable = False In PyTorch, requires_grad_(False)" in text
    assert "accuracy changes by" in text


def test_a_difference_is_noted_below_the_code_that_names_it():
    lines = shown(print_topic, find_topic("D10"), width=170)
    (note,) = [i for i, line in enumerate(lines) if "[D10] Loss of an epoch" in line]
    assert any("loss.item()" in line for line in lines[:note])


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_shown(topic):
    assert topic.title in "\n".join(shown(print_topic, topic, width=60))
    assert topic.title in "\n".join(shown(print_matched, topic, width=60))


def test_matched_program_is_shown_as_a_diff():
    lines = shown(print_matched, find_topic("loss"), width=100)
    assert any(line.startswith("+++ keras_impl/matched") for line in lines)
    assert any(line.startswith("-") and "cross_entropy" in line for line in lines)


def test_topics_are_listed():
    text = "\n".join(shown(print_topics, width=100))
    assert all(topic.name in text for topic in TOPICS)
