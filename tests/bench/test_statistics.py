"""Statistics against hand-worked numbers, and against planted differences."""

import numpy as np
import pytest

from bench.comparison import compare_arms, compare_timing, make_checks
from bench.statistics import (
    NO_DIFFERENCE,
    compare_times,
    mcnemar_p,
    paired_interval,
    summarise,
)
from shared.metrics import score
from shared.records import ArmRecord

NAMES = ("pytorch", "keras")


def rounds(scale: float, seed: int) -> list[list[float]]:
    """Three processes of six samples, with noise of three percent."""
    random = np.random.default_rng(seed)
    return (scale * random.normal(1, 0.03, (3, 6))).tolist()


def test_summary_is_median_and_interquartile_range():
    found = summarise([[10, 20], [30, 40, 50]], images=32)
    assert (found.median_ms, found.iqr_ms) == (30, 20)
    assert found.samples_ms == [10, 20, 30, 40, 50]
    assert found.images_per_second == pytest.approx(32 / 0.030)


def test_planted_slowdown_is_found():
    found = compare_times(rounds(130, 1), rounds(100, 2), NAMES)
    assert found.ratio == pytest.approx(1.3, rel=0.05)
    assert found.interval[0] > 1
    assert found.verdict == "keras takes less time"
    assert "pytorch" in compare_times(rounds(70, 1), rounds(100, 2), NAMES).verdict


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_equal_times_name_a_winner_in_one_case_of_twenty(processes):
    """Processes differ by three percent, and samples within one by one percent."""
    random = np.random.default_rng(0)

    def measure() -> list[list[float]]:
        level = 100 * np.exp(random.normal(0, 0.03, (processes, 1)))
        return (level * random.normal(1, 0.01, (processes, 6))).tolist()

    cases = [compare_times(measure(), measure(), NAMES) for _ in range(600)]
    winners = np.mean([case.verdict != NO_DIFFERENCE for case in cases])
    assert winners < 0.08


def test_one_process_says_nothing_about_spread():
    with pytest.raises(ValueError, match="at least two processes"):
        compare_times([[100.0, 101.0]], [[120.0, 121.0]], NAMES)
    one = {"pytorch": {"import": [[100.0]]}, "keras": {"import": [[120.0], [121.0]]}}
    assert compare_timing(NAMES, one) == {}


def test_mcnemar_by_hand():
    """Six to one: two tails of 1 and 0 successes in 7 fair throws, 16 / 128."""
    first = [True] * 6 + [False] * 1 + [True] * 10
    second = [False] * 6 + [True] * 1 + [True] * 10
    assert mcnemar_p(first, second) == pytest.approx(0.125)
    assert mcnemar_p(first, first) == 1


def test_paired_interval_is_zero_for_equal_and_covers_the_difference():
    same = [True, False] * 50
    assert paired_interval(same, same) == (0, 0)
    low, high = paired_interval([True] * 100, [True] * 80 + [False] * 20)
    assert 0.1 < low < 0.2 < high < 0.3


def arm(logits: np.ndarray, labels: np.ndarray) -> ArmRecord:
    scores = score(logits, labels, ["hat", "shirt"])
    return ArmRecord(status="ok", validation=scores, test=scores)


def test_arms_are_compared_image_by_image():
    labels = np.zeros(200, np.int64)
    right, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    first = np.where(np.arange(200)[:, None] < 190, right, wrong)
    second = np.where(np.arange(200)[:, None] < 150, right, wrong)
    found = compare_arms(NAMES, (arm(first, labels), arm(second, labels)), labels, 0)
    assert found.test_accuracy_difference == pytest.approx(0.2)
    assert found.top1_agreement == 0.8
    assert found.verdict == "pytorch is more accurate"
    same = compare_arms(NAMES, (arm(first, labels), arm(first, labels)), labels, 0)
    assert (same.verdict, same.mcnemar_p) == (NO_DIFFERENCE, 1)


def test_an_export_that_does_not_run_is_a_failed_check():
    labels = np.array([0, 1])
    finished = arm(np.eye(2), labels)
    assert finished.onnx is None
    (check,) = make_checks({"keras": finished}, None)
    assert not check.passed
    assert make_checks({"keras": ArmRecord(status="not run: it crashed")}, None) == []
