"""Statistics against hand-worked numbers, and against planted differences."""

import numpy as np
import pytest

from bench.comparison import compare_arms, compare_timing, make_checks
from bench.statistics import (
    NO_DIFFERENCE,
    Rounds,
    bootstrap_mean,
    compare_times,
    foretell,
    growth,
    mcnemar_p,
    paired_interval,
    slope_interval,
    summarise,
)
from shared.metrics import score
from shared.records import (
    ArmRecord,
    ControlRecord,
    MachineState,
    MemoryRecord,
    ScalingPoint,
    ScalingRecord,
    TimingComparison,
    TimingRunRecord,
)

NAMES = ("pytorch", "keras")


def rounds(scale: float, seed: int) -> Rounds:
    """Five processes of six samples, with noise of three percent."""
    random = np.random.default_rng(seed)
    return numbered(scale * random.normal(1, 0.03, (5, 6)))


def numbered(samples: np.ndarray) -> Rounds:
    """Samples (rounds, samples) by the number of their round."""
    return dict(enumerate(samples.tolist(), 1))


def test_summary_is_median_and_interquartile_range():
    found = summarise({1: [10, 20], 3: [30, 40, 50]}, images=32)
    assert (found.median_ms, found.iqr_ms) == (30, 20)
    assert found.samples_ms == [10, 20, 30, 40, 50]
    assert found.rounds == [1, 1, 3, 3, 3]
    assert found.images_per_second == pytest.approx(32 / 0.030)


def test_planted_slowdown_is_found():
    found = compare_times(rounds(130, 1), rounds(100, 2), NAMES)
    assert found.ratio == pytest.approx(1.3, rel=0.05)
    assert found.interval[0] > 1
    assert found.verdict == "keras takes less time"
    assert "pytorch" in compare_times(rounds(70, 1), rounds(100, 2), NAMES).verdict


def test_samples_of_one_turn_are_a_pair():
    """The machine became slower between the second and the third, or the first two."""
    first = numbered(np.tile([100, 100, 130], (5, 1)))
    second = numbered(np.tile([100, 130, 130], (5, 1)))
    assert compare_times(first, second, NAMES).ratio == 1


@pytest.mark.parametrize("processes", [5, 10, 20])
def test_equal_times_name_a_winner_in_one_case_of_twenty(processes):
    """Processes differ by three percent, and samples within one by one percent."""
    random = np.random.default_rng(0)

    def measure() -> Rounds:
        level = 100 * np.exp(random.normal(0, 0.03, (processes, 1)))
        return numbered(level * random.normal(1, 0.01, (processes, 6)))

    cases = [compare_times(measure(), measure(), NAMES) for _ in range(400)]
    winners = np.mean([case.verdict != NO_DIFFERENCE for case in cases])
    assert winners < 0.08


def test_bootstrap_interval_by_hand():
    """Of 20 values t's 97.5 % quantile is 2.093 standard errors."""
    values = np.random.default_rng(1).normal(5, 2, 20)
    low, high = bootstrap_mean(values)
    reach = 2.093 * values.std(ddof=1) / np.sqrt(20)
    assert low == pytest.approx(values.mean() - reach, rel=0.02)
    assert high == pytest.approx(values.mean() + reach, rel=0.02)


def test_load_that_both_arms_of_a_round_meet_cancels():
    load = np.array([[1.0], [1.5], [0.8], [1.2], [2.0]])
    first = numbered(100 * load * np.ones((5, 3)))
    second = numbered(110 * load * np.ones((5, 3)))
    found = compare_times(first, second, NAMES)
    assert found.ratio == pytest.approx(100 / 110)
    assert found.interval == pytest.approx((100 / 110, 100 / 110))


def test_four_rounds_say_too_little_about_spread():
    first, second = rounds(100, 1), rounds(120, 2)
    del first[2]
    with pytest.raises(ValueError, match="needs 5 rounds"):
        compare_times(first, second, NAMES)
    one = {"pytorch": {"import": first}, "keras": {"import": second}}
    assert compare_timing(NAMES, one) == {}


def test_a_line_foretells_the_next_value():
    assert foretell([10, 20, 40], [3, 5, 9], 80) == pytest.approx(17)


def test_interval_of_a_slope_by_hand():
    """Slope 2, residuals 1, -2, 1: standard error sqrt(6 / 1 / 2), t 12.7062."""
    low, high = slope_interval([0, 1, 2], [1, 0, 5])
    assert (low + high) / 2 == pytest.approx(2)
    assert high - low == pytest.approx(2 * 12.7062 * np.sqrt(3), rel=1e-4)


def test_growth_is_the_power_of_the_number_of_images():
    images = [100, 200, 400, 800]
    assert growth(images, [7, 14, 28, 56]) == pytest.approx(1)
    assert growth(images, [7, 7, 7, 7]) == pytest.approx(0)
    assert growth(images, [1, 4, 16, 64]) == pytest.approx(2)


def scaled(peaks_mib: list[float], seconds: list[float], memory: str) -> ScalingRecord:
    """One arm on 100, 200, ... images."""
    points = [
        ScalingPoint(
            arm="keras",
            images=100 * 2**i,
            decoding_s=1,
            stages={"features": s / 2, "epochs": s / 2},
            memory=MemoryRecord(peak_rss_mib=peak, **{memory: peak}),
            test_accuracy=0.9,
        )
        for i, (peak, s) in enumerate(zip(peaks_mib, seconds, strict=True))
    ]
    return ScalingRecord(points=points)


@pytest.mark.parametrize(
    ("peaks", "seconds", "failed"),
    [
        ([900, 930, 880, 920], [10, 20, 40, 80], []),
        ([900, 915, 944, 1003], [10, 20, 40, 80], ["memory"]),  # 144 MiB for 1,000
        ([900, 900.5, 901.5, 903.5], [10, 20, 40, 80], ["memory"]),  # 5
        ([900, 930, 880, 920], [10, 23, 55, 126], ["exponent"]),
    ],
)
@pytest.mark.parametrize("memory", ["peak_private_mib", "peak_device_mib"])
def test_memory_or_time_that_grows_too_much_fails(peaks, seconds, failed, memory):
    checks = make_checks({}, scaling=scaled(peaks, seconds, memory))
    names = [check.name for check in checks if not check.passed]
    assert len(checks) == 2
    assert len(names) == len(failed)
    assert all(word in name for word, name in zip(failed, names, strict=True))


@pytest.mark.parametrize(
    ("ratio", "interval", "passed"),
    [
        (1.01, (0.98, 1.03), True),
        (1.03, (0.99, 1.07), False),
        (0.99, (0.985, 0.995), False),
    ],
)
def test_control_must_find_nothing(ratio, interval, passed):
    one = TimingComparison(ratio=ratio, interval=interval, verdict="-")
    state = MachineState(load_average=0, cpu_mhz=None, cpu_celsius=None)
    arms = {"keras": dict.fromkeys(("train_step", "forward", "epoch"), one)}
    control = ControlRecord(started_at="-", rounds=5, machine={}, arms=arms)
    timing = TimingRunRecord(
        rounds=5, order=[], before=state, after=state, control=control
    )
    checks = make_checks({}, timing=timing)
    assert len(checks) == 4
    assert all(check.passed for check in checks) is passed
    del control.arms["keras"]["forward"]  # nothing measured is no proof
    assert not all(check.passed for check in make_checks({}, timing=timing))


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
    stages = {"export": 1.0}
    return ArmRecord(status="ok", validation=scores, test=scores, stages=stages)


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
    (check,) = make_checks({"keras": finished})
    assert not check.passed
    assert make_checks({"keras": ArmRecord(status="not run: it crashed")}) == []
