"""The dropout plan keeps its promises for every image."""

import numpy as np
import pytest

from shared.config import make_config
from shared.dropout import plan_dropout

ALL = np.arange(1000)


def test_a_unit_depends_on_seed_epoch_image_and_unit_alone():
    config = make_config(seed=1)
    plan = plan_dropout(config, 1000, 2, ALL)
    assert plan.shape == (1000, 100)
    assert plan.dtype == np.float32
    some = np.array([900, 3, 4])
    np.testing.assert_array_equal(plan_dropout(config, 1000, 2, some), plan[some])
    fewer_images = plan_dropout(config, 10, 2, np.arange(10))
    np.testing.assert_array_equal(fewer_images, plan[:10])
    for other in (
        plan_dropout(config, 1000, 3, ALL),
        plan_dropout(make_config(seed=2), 1000, 2, ALL),
        plan[::-1],
        plan[:, ::-1],
    ):
        assert 0.2 < np.mean(other != plan) < 0.45  # 0.32 where they are independent


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_the_share_and_the_scale_are_those_of_dropout(rate):
    plan = plan_dropout(make_config(dropout=rate), 1000, 1, ALL)
    np.testing.assert_allclose(np.unique(plan), [0, 1 / (1 - rate)], rtol=1e-6)
    assert np.mean(plan == 0) == pytest.approx(rate, abs=0.01)
    assert np.mean(plan == 0, axis=0) == pytest.approx(rate, abs=0.08)  # of each unit


def test_nothing_is_dropped_at_rate_0():
    assert (plan_dropout(make_config(dropout=0.0), 1000, 1, ALL) == 1).all()
