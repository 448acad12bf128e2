"""The plan of a training's phases, which both sides follow."""

import pytest

from shared.config import make_config
from shared.phases import plan_phases


def plan(**values: object) -> list[tuple[list[int], float, int | None]]:
    phases = plan_phases(make_config(epochs=2, fine_tuning_rate=1e-4, **values))
    return [(list(p.epochs), p.config.learning_rate, p.first_block) for p in phases]


def test_the_head_alone_is_one_phase():
    assert plan() == [([1, 2], 1e-3, None)]


def test_fine_tuning_of_all_blocks_goes_on_counting():
    found = plan(fine_tuning="all", fine_tuning_epochs=3)
    assert found == [([1, 2], 1e-3, None), ([3, 4, 5], 1e-4, 0)]


@pytest.mark.parametrize(
    ("epochs", "first_blocks"),
    [(1, [0]), (2, [9, 0]), (5, [15, 11, 7, 3, 0]), (19, list(range(18, -1, -1)))],
)
def test_gradual_fine_tuning_reaches_from_the_top_to_the_first_block(
    epochs, first_blocks
):
    """The uppermost k/n of 19 blocks, rounded up: 4, 8, 12, 16 and 19 for n = 5."""
    head, *tuned = plan(fine_tuning="gradual", fine_tuning_epochs=epochs)
    assert head == ([1, 2], 1e-3, None)
    assert tuned == [([3 + i], 1e-4, first) for i, first in enumerate(first_blocks)]


def test_only_the_head_is_trained_on_features():
    head, tuned = plan_phases(make_config(fine_tuning="all"))
    assert (head.on_features, tuned.on_features) == (True, False)
    assert (head.batch_norm_learns, tuned.batch_norm_learns) == (False, True)
    head, _ = plan_phases(make_config(fine_tuning="all", batch_norm="drifting"))
    assert (head.on_features, head.batch_norm_learns) == (False, True)
