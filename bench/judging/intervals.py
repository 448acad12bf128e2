"""Decide whether a difference is shown, by one rule for all differences.

Each difference has a p value and an interval of the same test, so that the two never
disagree. The test is Student's paired t test for times, on a log scale, and for
differences over seeds. It is McNemar's exact test for two classifiers on the same
images. If several differences are judged together, Holm's correction applies to both
the p value and the interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.records import Interval, TimingComparison, TimingRecord

SIGNIFICANCE = 0.05
NO_DIFFERENCE = "no difference shown"
TOO_NOISY = "too noisy for a ratio"
TWICE = np.log(2)

# Milliseconds of all samples of a round, by the number of the round.
Rounds = dict[int, list[float]]
MIN_ROUNDS = 5  # fewer rounds do not show how much processes vary


def is_shown(interval: Interval, equal: float = 0.0) -> bool:
    """Return whether a difference is shown, that is, its interval excludes `equal`.

    Args:
        equal: the value that stands for no difference; 1 for a ratio.
    """
    return not interval[0] <= equal <= interval[1]


@dataclass(frozen=True)
class MeanDifference:
    """Mean of paired differences, with Student's paired t test (Student, 1908).

    `p` is two-sided and without correction. `interval` excludes 0 exactly if `p` is
    below 1 - confidence.

    Attributes:
        values: the difference of each pair, (n,), with n of 2 or more.
    """

    values: np.ndarray

    @property
    def estimate(self) -> float:
        return float(np.mean(self.values))

    @property
    def p(self) -> float:
        if self._error == 0:  # all pairs have the same difference
            return float(self.estimate == 0)
        return float(2 * stats.t.sf(abs(self.estimate) / self._error, self._freedom))

    def interval(self, confidence: float) -> Interval:
        reach = float(stats.t.ppf((1 + confidence) / 2, self._freedom)) * self._error
        return self.estimate - reach, self.estimate + reach

    def p_equal(self, margin: float) -> float:
        """Return the p value of two one-sided tests (Schuirmann, 1987).

        It is small if the data exclude a difference of `margin` or more.
        """
        room = margin - abs(self.estimate)
        if self._error == 0:
            return float(room <= 0)
        return float(stats.t.sf(room / self._error, self._freedom))

    @property
    def _error(self) -> float:
        return float(stats.sem(self.values))

    @property
    def _freedom(self) -> int:
        return len(self.values) - 1


@dataclass(frozen=True)
class AccuracyDifference:
    """Difference in accuracy of two classifiers, with McNemar's exact test (1947).

    Only discordant images count: those that exactly one classifier gets right. The test
    takes their number as given, and asks whether the first classifier's share of them
    differs from one half. The interval is Clopper and Pearson's (1934) for this share,
    turned into a difference of accuracies. Without discordant images, p is 1 and the
    interval is (0, 0). `p` and `interval` have the same meaning as in `MeanDifference`.

    Attributes:
        only_first, only_second: number of images that only this classifier gets right.
        images: number of all images.
    """

    only_first: int
    only_second: int
    images: int

    @property
    def estimate(self) -> float:
        return (self.only_first - self.only_second) / self.images

    @property
    def p(self) -> float:
        return float(self._test().pvalue) if self._discordant else 1.0

    def interval(self, confidence: float) -> Interval:
        if not self._discordant:
            return 0.0, 0.0
        shares = self._test().proportion_ci(confidence, method="exact")
        low, high = (
            float(2 * share - 1) * self._discordant / self.images for share in shares
        )
        return low, high

    def p_equal(self, margin: float) -> float:
        """Return the p value of two one-sided tests; see `MeanDifference.p_equal`.

        They are exact binomial tests for the share of the discordant images at which
        the difference would be `margin`.
        """
        if not self._discordant or margin * self.images >= self._discordant:
            return 0.0  # so few discordant images cannot make such a difference
        share = (1 + margin * self.images / self._discordant) / 2
        larger = max(self.only_first, self.only_second)
        return float(stats.binom.cdf(larger, self._discordant, share))

    @property
    def _discordant(self) -> int:
        return self.only_first + self.only_second

    def _test(self):
        return stats.binomtest(self.only_first, self._discordant)


def accuracy_difference(
    first_correct: np.ndarray, second_correct: np.ndarray
) -> AccuracyDifference:
    """Return the first classifier's accuracy minus the second classifier's.

    Args:
        first_correct, second_correct: whether each gets an image right, (N,) bool.
    """
    return AccuracyDifference(
        only_first=int((first_correct & ~second_correct).sum()),
        only_second=int((second_correct & ~first_correct).sum()),
        images=len(first_correct),
    )


Difference = MeanDifference | AccuracyDifference


@dataclass(frozen=True)
class Decision:
    """Verdict on one difference of a family.

    Attributes:
        interval: excludes 0 exactly if `p` is below 0.05.
        confidence: confidence of the interval.
        p: p value with Holm's correction for the family.
    """

    estimate: float
    interval: Interval
    confidence: float
    p: float


def decide(family: Sequence[Difference]) -> list[Decision]:
    """Judge differences together, with Holm's correction (Holm, 1979).

    If nothing differs, the chance that any difference is shown is at most 5 %. The
    smallest of m p values is judged at the level 0.05 / m, the next p value at
    0.05 / (m - 1), and so on. The first difference that is not shown sets the level for
    all later ones. The confidence of an interval is 1 minus the level at which its
    difference is judged. It is 95 % for a difference that is judged alone.

    Returns:
        One decision for each difference, in the order of the family.
    """
    p_values = [difference.p for difference in family]
    corrected = holm(p_values)
    num_shown = np.sum(corrected < SIGNIFICANCE)
    places = np.argsort(np.argsort(p_values, kind="stable"))  # 0 for the smallest
    levels = SIGNIFICANCE / np.maximum(len(family) - places, len(family) - num_shown)
    return [
        Decision(
            estimate=difference.estimate,
            interval=difference.interval(float(1 - level)),
            confidence=float(1 - level),
            p=float(p),
        )
        for difference, p, level in zip(family, corrected, levels, strict=True)
    ]


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return the p values with Holm's correction, (m,), in the order given.

    The smallest is multiplied by m, the next by m - 1, and so on. No corrected value is
    below that of a smaller p value, nor above 1.
    """
    found = np.asarray(p_values, float)
    order = np.argsort(found, kind="stable")
    divisors = np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(1, np.maximum.accumulate(divisors * found[order]))
    return corrected


def summarise(rounds: Rounds, images: int | None) -> TimingRecord:
    """Return median and IQR of all samples, each of which processes `images` images."""
    samples = [sample for one_round in rounds.values() for sample in one_round]
    low, median, high = np.percentile(samples, [25, 50, 75])
    return TimingRecord(
        median_ms=median,
        iqr_ms=high - low,
        samples_ms=samples,
        rounds=[number for number, found in rounds.items() for _ in found],
        images_per_second=images / median * 1000 if images else None,
    )


def compare_times(
    pairs: Mapping[str, tuple[Rounds, Rounds]], names: tuple[str, str]
) -> dict[str, TimingComparison]:
    """Return ratios of the typical times of two arms, judged together.

    The first samples of both arms in a round are a pair, then the second samples, and
    so on. If the arms work in turns, the two samples of a pair met the same load.
    Samples of one process are not independent, so each round counts once, with the
    median ratio of its pairs.

    Args:
        pairs: times of the two arms, by a name such as the phase. A pair with fewer
            than five rounds in common is left out.
        names: the names of the two arms, for the verdicts.
    """
    logs = {
        name: MeanDifference(_log_ratios(first, second))
        for name, (first, second) in pairs.items()
        if len(first.keys() & second.keys()) >= MIN_ROUNDS
    }
    decisions = decide(list(logs.values()))
    return {
        name: _describe_ratio(decision, names)
        for name, decision in zip(logs, decisions, strict=True)
    }


def _log_ratios(first: Rounds, second: Rounds) -> np.ndarray:
    """Return the logarithm of the median ratio in each round that both arms have."""
    logs = []
    for number in sorted(first.keys() & second.keys()):
        # The time budget may have cut one of the two arms short.
        pairs = zip(first[number], second[number], strict=False)
        logs.append(np.median([np.log(a / b) for a, b in pairs]))
    return np.array(logs)


def _describe_ratio(found: Decision, names: tuple[str, str]) -> TimingComparison:
    low, high = found.interval
    verdict = NO_DIFFERENCE
    if is_shown(found.interval):
        verdict = f"{names[0] if found.estimate < 0 else names[1]} takes less time"
    elif low < -TWICE and high > TWICE:  # either may take less than half of the time
        verdict = TOO_NOISY
    return TimingComparison(
        ratio=float(np.exp(found.estimate)),
        interval=(float(np.exp(low)), float(np.exp(high))),
        confidence=found.confidence,
        p=found.p,
        verdict=verdict,
    )


def accuracy_interval(accuracy: float, images: int) -> Interval:
    """Return the 95 % interval of one classifier's accuracy (Wilson, 1927)."""
    test = stats.binomtest(round(accuracy * images), images)
    low, high = test.proportion_ci(method="wilson")
    return float(low), float(high)


def growth(images: Sequence[int], values: Sequence[float]) -> float:
    """Return the exponent p of the best power law images^p; 1 means linear growth."""
    return float(np.polyfit(np.log(images), np.log(values), 1)[0])


def foretell(images: Sequence[int], values: Sequence[float], more_images: int) -> float:
    """Predict the value for a larger number of images by a least-squares line."""
    return float(np.polyval(np.polyfit(images, values, 1), more_images))
