"""How codes are aligned, and how documents become pages."""

import pytest

from bench.lesson.align import align
from bench.lesson.documents import find_place
from bench.lesson.source import Code


def code(*lines: str) -> Code:
    return Code("model.py", list(enumerate(lines, 1)))


def test_equal_lines_stand_beside_each_other():
    left = code("def f():", "a = zeros(", ")", "b = 1", "return a")
    right = code("def f():", "a = np.zeros(", "3", ")", "return a")
    groups = [(one.is_same, one.spans) for one in align(left, right)]
    assert groups == [
        (True, ((0, 1), (0, 1))),
        (False, ((1, 4), (1, 4))),  # a bracket alone is no common line
        (True, ((4, 5), (4, 5))),
    ]
    assert [one.spans for one in align(None, right)] == [((0, 0), (0, 5))]


@pytest.mark.parametrize(
    ("href", "place"),
    [
        ("https://example.org/x.md", "https://example.org/x.md"),
        ("#d01-frozen-batch-norm", "#d01-frozen-batch-norm"),
        ("differences.md#contents", "differences.html#contents"),
        ("pictures/scaling.svg", "pictures/scaling.svg"),
        ("../reports/samples/a/report.md", "reports/a/report.html"),
        ("../pytorch_impl/model.py", "code/pytorch_impl/model.py.html"),
        ("../README.md#run", "index.html"),
        ("../shared/dropout.py", ""),
    ],
)
def test_links_of_documents_lead_to_pages(href, place):
    assert find_place(href) == place
