"""Metrics against numbers worked out by hand."""

import numpy as np
import pytest

from shared.metrics import (
    accuracy,
    comparable,
    confusion_matrix,
    cross_entropy,
    max_scaled_diff,
    relative_distance,
    score,
    softmax,
    top1_agreement,
)

LOGITS = np.log(np.array([[1, 1, 2], [6, 1, 1], [1, 3, 4], [2, 1, 1]], np.float32))
LABELS = np.array([2, 0, 1, 1])


def test_cross_entropy_is_the_mean_over_samples():
    # -log of 2/4, 6/8, 3/8 and 1/4
    expected = np.mean(-np.log([0.5, 0.75, 0.375, 0.25]))
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_does_not_depend_on_batches():
    """A mean of batch means gives the short last batch too much weight."""
    batches = (
        cross_entropy(LOGITS[:3], LABELS[:3]),
        cross_entropy(LOGITS[3:], LABELS[3:]),
    )
    assert np.mean(batches) != pytest.approx(cross_entropy(LOGITS, LABELS), rel=1e-2)


def test_cross_entropy_survives_large_logits():
    assert cross_entropy(np.array([[1e4, 0.0]]), np.array([0])) == 0
    assert cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == 1e4


def test_softmax():
    np.testing.assert_allclose(softmax(LOGITS)[0], [0.25, 0.25, 0.5], rtol=1e-6)


def test_accuracy_counts_ties_for_the_first():
    assert accuracy(LOGITS, LABELS) == 0.5
    assert accuracy(np.zeros((2, 3)), np.array([0, 1])) == 0.5


def test_confusion_matrix_has_labels_in_rows():
    matrix = confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 1]), 3)
    np.testing.assert_array_equal(matrix, [[1, 1, 0], [0, 0, 0], [0, 1, 0]])


def test_score_of_a_class_never_predicted_is_zero():
    record = score(LOGITS, LABELS, ["hat", "shirt", "shoes"])  # predicted: 2 0 2 0
    hat, shirt, shoes = record.per_class.values()
    assert (hat.precision, hat.recall, hat.images) == (0.5, 1.0, 1)
    assert (shirt.precision, shirt.recall, shirt.f1, shirt.images) == (0, 0, 0, 2)
    assert shoes.f1 == pytest.approx(2 / 3)
    assert record.macro_f1 == pytest.approx(4 / 9)
    assert record.predictions == [2, 0, 2, 0]


def test_max_scaled_diff():
    reference = np.array([[1.0, -4.0]])
    assert max_scaled_diff(np.array([[1.5, -3.0]]), reference) == 0.25


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.ones((1, 3)), np.zeros((1, 3))),
        (np.ones((1, 3)), np.ones((3, 1))),
        (np.array([np.nan]), np.ones(1)),
    ],
)
def test_max_scaled_diff_refuses_a_comparison_that_cannot_fail(values, reference):
    with pytest.raises(ValueError, match=r"differ|nothing|NaN"):
        max_scaled_diff(values, reference)


@pytest.mark.parametrize(
    "values", [None, np.ones(3), np.array([1, np.nan]), np.array([np.inf, 1])]
)
def test_what_cannot_be_compared_is_infinitely_far(values):
    reference = np.array([1.0, 4.0])
    assert comparable(max_scaled_diff, reference, reference) == 0
    assert comparable(max_scaled_diff, values, reference) == np.inf
    assert comparable(relative_distance, reference, values) == np.inf
    for measure in (max_scaled_diff, relative_distance):
        assert comparable(measure, reference, 0 * reference) == np.inf
        assert comparable(measure, 0 * reference, 0 * reference) == np.inf


def test_top1_agreement():
    assert top1_agreement(LOGITS, LOGITS[:, ::-1]) == 0
    assert top1_agreement(LOGITS, 2 * LOGITS) == 1
