"""What is said about an array that is not the wanted one."""

import numpy as np
import pytest

from exercises.expectations import NotYet, expect_close


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "at block 2, your function returns nothing, and no array"),
        ("text", "returns a str"),
        (np.ones((2, 1)), r"the shape is \(2, 1\) and must be \(2,\): look there"),
        ([1, 1.13], "difference, 0.13, appears first at block 2: look there"),
        ([1, np.nan], "the largest difference, nan"),
    ],
)
def test_what_is_off_is_named(found, words):
    with pytest.raises(NotYet, match=words):
        expect_close(found, np.ones(2), "block 2", "look there")


def test_rounding_is_left_alone():
    expect_close([1, 1.00005], np.ones(2), "block 2", "look there")
