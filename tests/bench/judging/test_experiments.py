"""The verdicts on settings: hand-worked, against scipy, and over simulated runs."""

import numpy as np
import pytest
from scipy import stats

from bench.judging.experiments import (
    MARGIN,
    count_differing,
    grows_from_rounding,
    judge_settings,
)
from bench.judging.intervals import AccuracyDifference, MeanDifference, holm
from bench.records import Accuracies, CellRecord, ExperimentRecord, SettingRecord


def make_cells(tests: list[float], arm: str = "pytorch") -> list[CellRecord]:
    """Finished cells with these test accuracies, one seed each."""
    return [
        CellRecord(
            arm=arm,
            changes={},
            seed=seed,
            status="ok",
            best=Accuracies(train=0.9, validation=0.8, test=test),
            correct="1" * round(100 * test) + "0" * round(100 * (1 - test)),
        )
        for seed, test in enumerate(tests)
    ]


def judge(*cells: list[CellRecord]) -> ExperimentRecord:
    settings = [SettingRecord(name=f"{i}", changes={}) for i, _ in enumerate(cells)]
    experiment = ExperimentRecord(question="Which?", epochs=10, settings=settings)
    judge_settings(experiment, cells)
    return experiment


def test_holm_s_correction_by_hand():
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.5]), [1, 1])
    assert len(holm([])) == 0


@pytest.mark.parametrize("shift", [0.0, 0.015, -0.05])
def test_equality_of_means_is_scipy_s_two_tests(shift):
    values = shift + np.array([0.004, -0.002, 0.009, 0.001, -0.006])
    above = stats.ttest_1samp(values, -MARGIN, alternative="greater").pvalue
    below = stats.ttest_1samp(values, MARGIN, alternative="less").pvalue
    found = MeanDifference(values).p_equal(MARGIN)
    assert found == pytest.approx(max(above, below))


@pytest.mark.parametrize(("only_first", "only_second"), [(30, 25), (9, 31), (20, 20)])
def test_equality_of_classifiers_is_scipy_s_two_tests(only_first, only_second):
    discordant = only_first + only_second
    found = AccuracyDifference(only_first, only_second, images=1000).p_equal(MARGIN)
    shares = [(1 + sign * MARGIN * 1000 / discordant) / 2 for sign in (-1, 1)]
    above = stats.binomtest(only_first, discordant, shares[0], alternative="greater")
    below = stats.binomtest(only_first, discordant, shares[1], alternative="less")
    assert found == pytest.approx(max(above.pvalue, below.pvalue))


def test_few_discordant_images_cannot_make_a_difference():
    assert AccuracyDifference(7, 0, images=372).p_equal(MARGIN) == 0
    assert AccuracyDifference(8, 0, images=372).p_equal(MARGIN) == pytest.approx(1, 0.1)


def test_verdicts_by_hand():
    base = [0.87, 0.88, 0.86, 0.87, 0.88]
    lower = [test - 0.05 for test in [0.871, 0.879, 0.86, 0.87, 0.881]]
    same = [0.872, 0.879, 0.861, 0.869, 0.88]
    unsure = [0.90, 0.83, 0.88, 0.85, 0.91]
    found = judge(*map(make_cells, (base, lower, same, unsure)))
    verdicts = [setting.verdict for setting in found.settings]
    assert verdicts == [None, "different", "equal", "undecided"]
    assert found.settings[1].change == pytest.approx(-0.0498)
    assert found.settings[1].p < 0.05 < found.settings[3].p
    assert found.test == "Student's paired t"


def test_arms_of_a_seed_count_once():
    """Both arms trained every cell: that makes five pairs of seeds, not ten."""
    base, other = [0.87, 0.88, 0.86], [0.85, 0.87, 0.86]
    alone = judge(make_cells(base), make_cells(other))
    both = judge(
        make_cells(base) + make_cells(base, "keras"),
        make_cells(other) + make_cells(other, "keras"),
    )
    assert alone.settings[1] == both.settings[1]


def test_a_single_seed_is_judged_by_mcnemar():
    found = judge(make_cells([0.90]), make_cells([0.70]))
    assert found.test == "McNemar's exact test"
    assert found.settings[1].change == pytest.approx(-0.2)
    assert found.settings[1].p == pytest.approx(2 * 0.5**20)
    assert found.settings[1].verdict == "different"


def test_a_setting_without_cells_has_no_verdict():
    found = judge(make_cells([0.9, 0.8]), [], make_cells([0.9, 0.81]))
    assert found.settings[1].verdict is None
    assert found.settings[2].verdict is not None


def simulate(shift: float, count: int) -> list[ExperimentRecord]:
    """Experiments of four settings; the last one's accuracy is shifted.

    The seeds of this data set vary by about 0.7 points.
    """
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        tests = random.normal(0.87, 0.007, (4, 5))
        tests[3] += shift
        found.append(judge(*(make_cells(list(one)) for one in tests)))
    return found


def test_false_alarms_are_rare():
    alarms = [
        any(setting.verdict == "different" for setting in one.settings)
        for one in simulate(shift=0.0, count=1000)
    ]
    # At most 5 % of all experiments; of 1,000 some more may have one by chance.
    found = stats.binomtest(sum(alarms), len(alarms), 0.05, alternative="greater")
    assert found.pvalue > 0.01
    assert np.mean(alarms) > 0.02


def test_a_difference_of_three_points_is_found_in_most():
    found = [one.settings[3].verdict for one in simulate(shift=0.03, count=200)]
    assert np.mean([verdict == "different" for verdict in found]) > 0.7
    assert "equal" not in found


def test_images_that_tie_do_not_count_as_differing():
    first = {"predictions": [0, 1, 2, 3], "tied": [1]}
    second = {"predictions": [0, 2, 3, 4], "tied": [3]}
    assert count_differing(first, second) == 1
    assert count_differing(first, first) == 0


def epochs(*losses: float) -> list[dict]:
    return [{"train_loss": loss} for loss in losses]


@pytest.mark.parametrize(
    ("distances", "rounding"),
    [
        ([1e-16, 0, 1e-16], True),  # two equal programs
        ([3e-12, 6e-7, 4e-2], True),  # seen at a learning rate of 0.1
        ([1e-14, 1e-10, 1e-5], True),
        ([1e-4, 1e-4, 1e-4], False),  # a difference from the first step on
        ([2e-16, 1e-3, 1e-2], False),  # a difference from the second epoch on
        ([0, 0, 1e-4], False),
    ],
)
def test_a_difference_between_programs_is_no_rounding(distances, rounding):
    first = epochs(0.9, 0.5, 0.3)
    losses = [one["train_loss"] + d for one, d in zip(first, distances, strict=True)]
    assert grows_from_rounding(first, epochs(*losses)) == rounding
