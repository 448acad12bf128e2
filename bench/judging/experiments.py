"""Decide what the cells of an experiment show about each of its settings."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench.judging.intervals import (
    SIGNIFICANCE,
    AccuracyDifference,
    Difference,
    MeanDifference,
    accuracy_difference,
    decide,
    holm,
    is_shown,
)
from bench.records import CellRecord, ExperimentRecord, SettingRecord

MARGIN = 0.02  # of accuracy; closer settings count as equal
# Distances between the training losses of two arms. A large learning rate multiplies
# them by up to 1e10 in an epoch, until they are as large as the losses.
FLOAT64_ROUNDING, AGREES, LARGEST_GROWTH = 1e-16, 1e-9, 1e11
Verdict = Literal["different", "equal", "undecided"]


def judge_settings(
    experiment: ExperimentRecord, cells: Sequence[list[CellRecord]]
) -> None:
    """Compare each setting of an experiment with another one, and note the verdicts.

    This is the base, which is the first setting, unless the setting names another one.

    Over two or more seeds the test is Student's paired t, for a single seed McNemar's
    exact test. All settings of an experiment are judged together. A setting without
    finished cells in common with the base is left without a verdict.

    Args:
        cells: the finished cells of each setting, in the order of the settings.
    """
    names = [setting.name for setting in experiment.settings]
    compared: dict[int, Difference] = {}
    for place, own in enumerate(cells[1:], start=1):
        other = experiment.settings[place].against or names[0]
        if difference := _compare(cells[names.index(other)], own):
            compared[place] = difference
    family = list(compared.values())
    same = holm([difference.p_equal(MARGIN) for difference in family])
    decisions = zip(compared, decide(family), same, strict=True)
    for place, decision, p_equal in decisions:
        setting = experiment.settings[place]
        setting.change = decision.estimate
        setting.interval, setting.confidence = decision.interval, decision.confidence
        setting.p, setting.p_equal = decision.p, float(p_equal)
        setting.verdict = _verdict(setting)
    single = any(isinstance(one, AccuracyDifference) for one in family)
    experiment.test = "McNemar's exact test" if single else "Student's paired t"


def _verdict(setting: SettingRecord) -> Verdict:
    """A difference that is shown counts as one, however small it is."""
    if is_shown(setting.interval):
        return "different"
    return "equal" if setting.p_equal < SIGNIFICANCE else "undecided"


def _compare(base: list[CellRecord], own: list[CellRecord]) -> Difference | None:
    """Return the difference of test accuracy over the seeds that both have."""
    before, after = _by_seed(base), _by_seed(own)
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        return None
    if len(seeds) == 1:
        pair = (_correct(one[seeds[0]][0]) for one in (after, before))
        return accuracy_difference(*pair)
    values = [_mean_test(after[seed]) - _mean_test(before[seed]) for seed in seeds]
    return MeanDifference(np.array(values))


def _mean_test(cells: list[CellRecord]) -> float:
    return float(np.mean([cell.best.test for cell in cells]))


def _by_seed(cells: list[CellRecord]) -> dict[int, list[CellRecord]]:
    """Return the cells of each seed; both arms may have trained it."""
    found: dict[int, list[CellRecord]] = {}
    for cell in cells:
        found.setdefault(cell.seed, []).append(cell)
    return found


def _correct(cell: CellRecord) -> np.ndarray:
    """Return whether the cell gets each test image right, (N,) bool."""
    return np.array(list(cell.correct)) == "1"


def grows_from_rounding(first: list[dict], second: list[dict]) -> bool:
    """Return whether two trainings part as a rounding error does that keeps growing.

    They agree in the first epoch, and no epoch multiplies their distance by more than
    training is seen to do. A difference between the two programs is there from its
    first step on.

    Args:
        first, second: epochs of the same training on each arm, in float64.
    """
    pairs = zip(first, second, strict=True)
    distances = [abs(one["train_loss"] - other["train_loss"]) for one, other in pairs]
    grown = np.maximum(distances, FLOAT64_ROUNDING)
    factors = grown[1:] / grown[:-1]
    return bool(distances[0] < AGREES and (factors < LARGEST_GROWTH).all())


def count_differing(first: dict, second: dict) -> int:
    """Return for how many test images the two arms predict different classes.

    Images whose best two logits tie on either arm are not counted: rounding may swap
    them.

    Args:
        first, second: what the workers sent of the same cell, with `predictions` and
            `tied`.
    """
    differs = np.array(first["predictions"]) != np.array(second["predictions"])
    differs[first["tied"] + second["tied"]] = False
    return int(differs.sum())
