"""Statistics against hand-worked numbers, and against planted differences."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bench.judging.checks import CONTROL_PHASES, make_checks
from bench.judging.comparison import compare_arms, compare_timing
from bench.judging.intervals import (
    NO_DIFFERENCE,
    SIGNIFICANCE,
    TOO_NOISY,
    AccuracyDifference,
    MeanDifference,
    Rounds,
    accuracy_difference,
    accuracy_interval,
    compare_times,
    decide,
    foretell,
    growth,
    is_shown,
    summarise,
)
from bench.records import (
    ArmRecord,
    ControlRecord,
    MachineState,
    MemoryRecord,
    ScalingPoint,
    ScalingRecord,
    TimingComparison,
    TimingRunRecord,
)
from shared.metrics import score

NAMES = ("pytorch", "keras")


def rounds(scale: float, seed: int) -> Rounds:
    """Five processes of six samples, with noise of three percent."""
    random = np.random.default_rng(seed)
    return numbered(scale * random.normal(1, 0.03, (5, 6)))


def compare_one(first: Rounds, second: Rounds) -> TimingComparison:
    """A ratio that is judged alone."""
    return compare_times({"step": (first, second)}, NAMES)["step"]


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
    found = compare_one(rounds(130, 1), rounds(100, 2))
    assert found.ratio == pytest.approx(1.3, rel=0.05)
    assert found.interval[0] > 1
    assert found.verdict == "keras takes less time"
    assert found.p < SIGNIFICANCE
    assert "pytorch" in compare_one(rounds(70, 1), rounds(100, 2)).verdict


def test_times_of_a_busy_machine_give_no_ratio():
    """In two rounds of five something else took the core from one of the arms."""
    busy, quiet = rounds(100, 1), rounds(100, 2)
    for number, arm in ((1, busy), (2, quiet)):
        arm[number] = [20 * sample for sample in arm[number]]
    found = compare_one(busy, quiet)
    assert found.interval[0] < 1 / 2 < 2 < found.interval[1]
    assert found.verdict == TOO_NOISY
    assert compare_one(rounds(100, 1), rounds(100, 2)).verdict == NO_DIFFERENCE


def test_samples_of_one_turn_are_a_pair():
    """The machine became slower between the second and the third, or the first two."""
    first = numbered(np.tile([100, 100, 130], (5, 1)))
    second = numbered(np.tile([100, 130, 130], (5, 1)))
    assert compare_one(first, second).ratio == 1


@pytest.mark.parametrize("processes", [5, 10, 20])
def test_equal_times_name_a_winner_in_one_case_of_twenty(processes):
    """Processes differ by three percent, and samples within one by one percent."""
    random = np.random.default_rng(0)

    def measure() -> Rounds:
        level = 100 * np.exp(random.normal(0, 0.03, (processes, 1)))
        return numbered(level * random.normal(1, 0.01, (processes, 6)))

    cases = [compare_one(measure(), measure()) for _ in range(400)]
    winners = np.mean([case.verdict != NO_DIFFERENCE for case in cases])
    assert winners < 0.08
    assert all((c.p < SIGNIFICANCE) == is_shown(c.interval, equal=1) for c in cases)


def test_phases_of_two_arms_are_judged_together():
    """What one phase shows alone, it need not show as one of eight."""
    level, logs = numbered(np.full((5, 1), 100.0)), 0.1 * pairs_with(p=0.02).values
    slower = numbered(100 * np.exp(logs[:, None]))
    assert compare_one(slower, level).verdict == "keras takes less time"
    phases = ["train_step", *"abcdefg"]
    samples = {name: dict.fromkeys(phases, level) for name in NAMES}
    samples["pytorch"]["train_step"] = slower
    found = compare_timing(NAMES, samples)["train_step"]
    assert found.verdict == NO_DIFFERENCE
    assert found.p == pytest.approx(8 * 0.02)
    assert found.confidence == 1 - 0.05 / 8
    assert found.interval[0] < 1 < found.interval[1]


def test_load_that_both_arms_of_a_round_meet_cancels():
    load = np.array([[1.0], [1.5], [0.8], [1.2], [2.0]])
    first = numbered(100 * load * np.ones((5, 3)))
    second = numbered(110 * load * np.ones((5, 3)))
    found = compare_one(first, second)
    assert found.ratio == pytest.approx(100 / 110)
    assert found.interval == pytest.approx((100 / 110, 100 / 110))


def test_four_rounds_say_too_little_about_spread():
    first, second = rounds(100, 1), rounds(120, 2)
    del first[2]
    one = {"pytorch": {"import": first}, "keras": {"import": second}}
    assert compare_timing(NAMES, one) == {}


def test_a_line_foretells_the_next_value():
    assert foretell([10, 20, 40], [3, 5, 9], 80) == pytest.approx(17)


def test_growth_is_the_power_of_the_number_of_images():
    images = [100, 200, 400, 800]
    assert growth(images, [7, 14, 28, 56]) == pytest.approx(1)
    assert growth(images, [7, 7, 7, 7]) == pytest.approx(0)
    assert growth(images, [1, 4, 16, 64]) == pytest.approx(2)


def scaled(seconds: list[float]) -> ScalingRecord:
    """One arm on 100, 200, ... images."""
    points = [
        ScalingPoint(
            arm="keras",
            images=100 * 2**i,
            decoding_s=1,
            stages={"features": s / 2, "epochs": s / 2},
            memory=MemoryRecord(peak_rss_mib=900),
            test_accuracy=0.9,
        )
        for i, s in enumerate(seconds)
    ]
    return ScalingRecord(points=points)


@pytest.mark.parametrize(
    ("seconds", "passed"), [([10, 20, 40, 80], True), ([10, 23, 55, 126], False)]
)
def test_time_that_grows_too_much_fails(seconds, passed):
    (check,) = make_checks({}, scaling=scaled(seconds))
    assert "exponent" in check.name
    assert check.passed is passed


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
    arms = {"keras": dict.fromkeys(CONTROL_PHASES, one)}
    control = ControlRecord(started_at="-", rounds=5, machine={}, arms=arms)
    timing = TimingRunRecord(
        rounds=5, order=[], before=state, after=state, control=control
    )
    checks = make_checks({}, timing=timing)
    assert len(checks) == 4
    assert all(check.passed for check in checks) is passed
    del control.arms["keras"]["forward"]  # nothing measured is no proof
    assert not all(check.passed for check in make_checks({}, timing=timing))


def test_paired_t_by_hand():
    """Mean 0.02, standard deviation 0.00707, t 2.776 with 4 degrees of freedom."""
    found = MeanDifference(np.array([0.01, 0.02, 0.03, 0.02, 0.02]))
    expected = (0.02 - 0.00878, 0.02 + 0.00878)
    assert found.interval(0.95) == pytest.approx(expected, abs=1e-5)
    assert found.p == pytest.approx(stats.ttest_1samp(found.values, 0).pvalue)


def test_paired_t_of_equal_differences():
    """Without any spread there is no doubt, in either direction."""
    nothing, something = MeanDifference(np.zeros(5)), MeanDifference(np.ones(5))
    assert (nothing.p, nothing.interval(0.95)) == (1, (0, 0))
    assert (something.p, something.interval(0.95)) == (0, (1, 1))


def test_mcnemar_by_hand():
    """Six to one: two tails of 1 and 0 successes in 7 fair throws, 16 / 128.

    Clopper and Pearson have 0.4213 to 0.9964 for 6 of 7.
    """
    first = np.array([True] * 6 + [False] * 1 + [True] * 13)
    second = np.array([False] * 6 + [True] * 1 + [True] * 13)
    found = accuracy_difference(first, second)
    assert found.estimate == 0.25
    assert found.p == pytest.approx(0.125)
    expected = [(2 * share - 1) * 7 / 20 for share in (0.4213, 0.9964)]
    assert found.interval(0.95) == pytest.approx(expected, abs=1e-4)


def test_classifiers_that_are_right_on_the_same_images_do_not_differ():
    found = accuracy_difference(np.array([True, False]), np.array([True, False]))
    assert (found.estimate, found.p, found.interval(0.95)) == (0, 1, (0, 0))


def test_four_discordant_images_show_nothing():
    (found,) = decide([AccuracyDifference(only_first=4, only_second=0, images=372)])
    assert found.p == 0.125
    assert not is_shown(found.interval)


@pytest.mark.parametrize("tests", [1, 2, 3, 22])
def test_mcnemar_and_the_exact_interval_never_disagree(tests):
    """All divisions of few discordant images, at Holm's levels."""
    level = SIGNIFICANCE / tests
    for first, second in product(range(22), repeat=2):
        found = AccuracyDifference(first, second, images=372)
        low, high = found.interval(1 - level)
        assert is_shown((low, high)) == (found.p < level)
        assert low <= found.estimate <= high


def test_paired_t_and_its_interval_never_disagree():
    random = np.random.default_rng(0)
    for values in random.normal(1, 1, (500, 5)):
        found = MeanDifference(values)
        for level in (0.05, 0.05 / 22):
            assert is_shown(found.interval(1 - level)) == (found.p < level)


def pairs_with(p: float) -> MeanDifference:
    """Five differences whose t test has this p value."""
    away = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    return MeanDifference(away + stats.t.isf(p / 2, 4) * stats.sem(away))


def test_holm_by_hand():
    """Holm's own steps: 0.05 / 4, / 3, / 2; then 0.04 is not below 0.05 / 2."""
    p_values = [0.04, 0.002, 0.045, 0.012]
    found = decide([pairs_with(p) for p in p_values])
    assert [one.p for one in found] == pytest.approx([0.08, 0.008, 0.08, 0.036])
    assert [is_shown(one.interval) for one in found] == [False, True, False, True]
    levels = [0.05 / 2, 0.05 / 4, 0.05 / 2, 0.05 / 3]
    assert [1 - one.confidence for one in found] == pytest.approx(levels)


def test_one_difference_is_judged_as_it_is():
    (found,) = decide([pairs_with(0.04)])
    assert (found.p, found.confidence) == (pytest.approx(0.04), 0.95)
    assert is_shown(found.interval)
    assert decide([]) == []


def test_p_and_interval_agree_in_families_of_any_kind():
    random = np.random.default_rng(0)
    for _ in range(100):
        size = random.integers(1, 12)
        family = [MeanDifference(random.normal(1, 1, 5)) for _ in range(size)]
        family += [
            AccuracyDifference(*random.integers(0, 12, 2).tolist(), images=100)
            for _ in range(size)
        ]
        for one in decide(family):
            assert is_shown(one.interval) == (one.p < SIGNIFICANCE)


def test_a_family_without_differences_shows_one_in_one_case_of_twenty():
    random = np.random.default_rng(0)
    families = [
        decide([MeanDifference(values) for values in random.normal(0, 1, (6, 5))])
        for _ in range(500)
    ]
    shown = [any(is_shown(one.interval) for one in family) for family in families]
    assert 0.03 < np.mean(shown) < 0.08


def test_interval_of_an_accuracy_is_the_published_one():
    """Wilson's."""
    assert accuracy_interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert accuracy_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def arm(logits: np.ndarray, labels: np.ndarray) -> ArmRecord:
    scores = score(logits, labels, ["hat", "shirt"])
    stages = {"export": 1.0}
    return ArmRecord(status="ok", validation=scores, test=scores, stages=stages)


def test_arms_are_compared_image_by_image():
    labels = np.zeros(200, np.int64)
    right, wrong = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    first = np.where(np.arange(200)[:, None] < 190, right, wrong)
    second = np.where(np.arange(200)[:, None] < 150, right, wrong)
    arms = {"pytorch": arm(first, labels), "keras": arm(second, labels)}
    (found,) = compare_arms(arms, labels)
    assert found.arms == NAMES
    assert found.test_accuracy_difference == pytest.approx(0.2)
    assert found.top1_agreement == 0.8
    assert found.verdict == "pytorch is more accurate"
    same, other = compare_arms({"again": arms["pytorch"], **arms}, labels)
    assert (same.verdict, same.mcnemar_p) == (NO_DIFFERENCE, 1)
    assert other.mcnemar_p == 2 * found.mcnemar_p
    assert other.test_accuracy_confidence == 0.975


def test_an_export_that_does_not_run_is_a_failed_check():
    labels = np.array([0, 1])
    finished = arm(np.eye(2), labels)
    assert finished.onnx is None
    (check,) = make_checks({"keras": finished})
    assert not check.passed
    assert make_checks({"keras": ArmRecord(status="not run: it crashed")}) == []
