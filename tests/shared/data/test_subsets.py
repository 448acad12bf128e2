"""Smaller parts of a data set keep every class."""

import numpy as np
import pytest

from shared.data.subsets import choose_share

LABELS = np.repeat([0, 1, 2], [200, 40, 1])


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_share_is_taken_of_each_class(share):
    chosen = choose_share(LABELS, share, seed=0)
    assert np.bincount(LABELS[chosen]).tolist() == [200 * share, 40 * share, 1]
    assert (np.diff(chosen) > 0).all()


def test_a_smaller_share_is_part_of_a_larger_one():
    small, large = (set(choose_share(LABELS, share, seed=3)) for share in (0.1, 0.25))
    assert small < large
    assert small != set(choose_share(LABELS, 0.1, seed=4))
