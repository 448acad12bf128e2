"""Class counts: what is refused, and when a shift is stated."""

import numpy as np
import pytest
from scipy import stats

from bench.explore.counts import (
    class_counts,
    count_images,
    describe_shift,
    require_enough,
)
from shared.errors import UserError


def test_images_are_counted_by_split_and_class(make_data):
    data = make_data(train=[4, 9])
    np.testing.assert_array_equal(count_images(data), [[4, 9], [3, 3], [3, 3]])
    require_enough(data)


def test_class_with_one_image_is_refused(make_data):
    with pytest.raises(UserError, match=r"(?s)test/shirt has 1\nAdd images"):
        require_enough(make_data(test=[2, 1]))


def test_class_without_images_is_refused(make_data):
    with pytest.raises(UserError, match="validation/hat has 0"):
        require_enough(make_data(validation=[0, 5]))


def test_single_class_is_refused(make_data):
    counts = {"train": [5], "validation": [5], "test": [5]}
    with pytest.raises(UserError, match=r"one class \(hat\)"):
        require_enough(make_data(classes=("hat",), **counts))


def test_equal_shares_are_no_shift(make_data):
    data = make_data(train=[80, 40], validation=[20, 10], test=[20, 10])
    said = describe_shift(data)
    assert "no more between the splits" in said
    assert "0.0 with 2 degrees of freedom, p = 1.000" in said
    assert "rough" not in said


def test_shift_is_stated_with_its_test_and_largest_class(make_data):
    counts = {"train": [120, 80, 40], "validation": [30, 20, 12], "test": [20, 16, 24]}
    said = describe_shift(make_data(("hat", "shirt", "shoe"), **counts))
    # Pearson's sum of (found - expected)^2 / expected, by hand.
    table = np.array(list(counts.values()))
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    assert f"{statistic:.1f} with 4 degrees of freedom" in said
    assert stats.chi2.sf(statistic, 4) < 0.05
    assert "differ more between the splits" in said
    assert "“shoe”: 16.7% in train, 19.4% in validation, 40.0% in test" in said


def test_few_images_make_p_a_rough_value(make_data):
    assert "p is only a rough value" in describe_shift(make_data())


def test_section_has_the_picture_before_the_table(make_data):
    plot, _, table = class_counts(make_data(train=[4, 9]))
    assert plot.kind == "plot"
    assert table.rows[1] == ["shirt", "9 (69.2%)", "3 (50.0%)", "3 (50.0%)", "15"]
    assert table.rows[-1] == ["all", "13", "6", "6", "25"]
