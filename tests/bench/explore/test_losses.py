"""Highest losses, against values that are worked out by hand."""

import numpy as np
import pytest

from bench.explore.losses import NUM_WORST, find_candidates, mean_probabilities


def test_probabilities_are_the_mean_of_the_arms():
    equal, sure = np.array([[0.0, 0.0]]), np.array([[0.0, np.log(3)]])
    found = mean_probabilities({"pytorch": {"test": equal}, "keras": {"test": sure}})
    np.testing.assert_allclose(found["test"], [[0.375, 0.625]])


def make_probabilities(data, label_shares: dict[str, list[float]]) -> dict:
    """Two classes; the given probability for the label of each image."""
    found = {}
    for name, split in data.splits.items():
        share = np.array(label_shares.get(name, [0.9] * len(split.labels)))
        columns = [np.where(split.labels == c, share, 1 - share) for c in (0, 1)]
        found[name] = np.stack(columns, axis=1)
    return found


def test_images_with_the_highest_loss_come_first(make_data):
    data = make_data()
    shares = [0.9, 0.2, 0.8, 0.1, 0.7, 0.6, *[0.9] * 6]
    found = find_candidates(data, make_probabilities(data, {"train": shares}))
    hats = [one for one in found if (one.label, one.split) == ("hat", "train")]
    assert [one.index for one in hats] == [3, 1, 5, 4, 2, 0]
    assert hats[0].loss == pytest.approx(-np.log(0.1))
    assert [one.predicted for one in hats[:3]] == ["shirt", "shirt", "hat"]
    assert hats[0].file == "hat/03.png"


def test_each_class_and_judged_split_has_its_own_images(make_data):
    data = make_data(train=[9, 4])
    found = find_candidates(data, make_probabilities(data, {}))
    numbers = {(c, s): 0 for c in data.classes for s in ("train", "validation")}
    for one in found:
        numbers[one.label, one.split] += 1
        assert one.file.startswith(f"{one.label}/")
    assert list(numbers.values()) == [NUM_WORST, 3, 4, 3]


def test_probability_of_zero_has_a_finite_loss(make_data):
    data = make_data()
    found = find_candidates(data, make_probabilities(data, {"train": [0.0] * 12}))
    assert all(np.isfinite(one.loss) for one in found)
