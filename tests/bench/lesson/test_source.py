"""Parts of programs that are read from their files."""

import pytest

from bench.lesson import source

PROGRAM = '''\
"""A chapter."""


class Net:
    @property
    def size(self) -> int:
        """Return how many there are.

        Args:
            self: what has no place in a comparison.
        """
        return 3


def train(
    net: Net,
    epochs: int,
) -> None:
    """Train."""
    start = net.size
    # Why the optimizer comes first.
    optimizer = make(start)
    for epoch in range(epochs):
        print(epoch)
        if epoch:
            optimizer.step()  # [D29]
        else:
            print("first")
    print(start)
'''


@pytest.fixture(autouse=True)
def program(tmp_path, monkeypatch):
    """A package with one chapter."""
    monkeypatch.setattr(source, "ROOT", tmp_path)
    source._parse.cache_clear()
    (tmp_path / "keras_impl").mkdir()
    (tmp_path / "keras_impl" / "model.py").write_text(PROGRAM)
    yield
    source._parse.cache_clear()


def test_definition_is_read_without_what_it_says_of_arguments():
    code = source.read_code("keras", "model.Net.size")
    assert code.place == "keras_impl/model.py:5"
    assert code.text.splitlines() == [
        "@property",
        "def size(self) -> int:",
        '    """Return how many there are.',
        '    """',
        "    return 3",
    ]


def test_words_choose_statements_with_their_comments():
    code = source.read_code("keras", "model.train: optimizer")
    assert code.entries == ["D29"]
    assert code.text.splitlines() == [
        "def train(...):",
        "    ...",
        "    # Why the optimizer comes first.",
        "    optimizer = make(start)",
        "    for epoch in range(epochs):",
        "        ...",
        "        if epoch:",
        "            optimizer.step()  # [D29]",
        "        else:",
        "            ...",
        "    ...",
    ]


def test_block_whose_first_line_has_a_word_is_whole():
    code = source.read_code("keras", "model.train: for epoch")
    assert code.text.splitlines()[2:8] == PROGRAM.splitlines()[22:28]


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("export.save", "there is no keras_impl/export.py"),
        ("model.Net.width", "keras_impl/model.py has no Net.width"),
        ("model.train: scheduler", "keras_impl/model.py: train has no 'scheduler'"),
    ],
)
def test_what_is_gone_is_named(reference, problem):
    with pytest.raises(LookupError, match=problem):
        source.read_code("keras", reference)


def test_public_definitions():
    assert source.list_public("keras") == ["model.Net", "model.train"]
