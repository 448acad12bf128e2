"""Intervals and tests: what a difference must have beside it."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from shared.records import Interval, TimingComparison, TimingRecord
from shared.sampling import BOOTSTRAP, stream

NUM_RESAMPLES = 10_000
NO_DIFFERENCE = "no difference shown"

# Milliseconds by the number of the round, whose process measured them.
Rounds = dict[int, list[float]]
MIN_ROUNDS = 5  # fewer processes say too little about the spread between them


def summarise(rounds: Rounds, images: int | None) -> TimingRecord:
    """Median and interquartile range of all samples; `images` in one sample."""
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
    first: Rounds, second: Rounds, names: tuple[str, str], confidence: float = 0.95
) -> TimingComparison:
    """Ratio of the typical times of two arms, with its interval.

    The first sample of both in a round is a pair, and so on: where arms work in turns,
    those met the same load. Samples of one process are not independent of each other,
    so each round counts once, by the median ratio of its pairs.

    Raises:
        ValueError: the arms have fewer than five rounds in common.
    """
    common = sorted(first.keys() & second.keys())
    if len(common) < MIN_ROUNDS:
        raise ValueError(f"an interval needs {MIN_ROUNDS} rounds of both arms")
    logs = np.array([_log_ratio(first[number], second[number]) for number in common])
    low, high = np.exp(bootstrap_mean(logs, confidence))
    if holds_one((low, high)):
        verdict = NO_DIFFERENCE
    else:
        verdict = f"{names[0] if high < 1 else names[1]} takes less time"
    return TimingComparison(
        ratio=float(np.exp(logs.mean())),
        interval=(float(low), float(high)),
        verdict=verdict,
    )


def _log_ratio(first: list[float], second: list[float]) -> float:
    pairs = zip(first, second, strict=False)  # a budget may have cut one of them short
    return float(np.median([np.log(one / other) for one, other in pairs]))


def holds_one(interval: Interval) -> bool:
    """Whether a ratio of 1 is compatible with what was measured."""
    return interval[0] <= 1 <= interval[1]


def bootstrap_mean(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Bootstrap interval of a mean (Efron, 1979), stretched for few values.

    Resamples of n values vary by (n - 1) / n too little, and know nothing of the error
    of that variance ("narrowness bias", Hesterberg, 2015, "What teachers should know
    about the bootstrap"): the percentiles move away from the mean by
    sqrt(n / (n - 1)) t / z, as Student's t interval does from the normal one.
    """
    count = len(values)
    drawn = stream(0, BOOTSTRAP).choice(values, (NUM_RESAMPLES, count)).mean(axis=1)
    upper = (1 + confidence) / 2
    quantiles = stats.t.ppf(upper, count - 1) / stats.norm.ppf(upper)
    stretch = np.sqrt(count / (count - 1)) * quantiles
    percentiles = np.quantile(drawn, [1 - upper, upper])
    low, high = values.mean() + stretch * (percentiles - values.mean())
    return float(low), float(high)


def growth(images: Sequence[int], values: Sequence[float]) -> float:
    """Exponent p of the power law images^p that fits best: 1 is linear, 0 constant."""
    return float(np.polyfit(np.log(images), np.log(values), 1)[0])


def slope_interval(images: Sequence[int], values: Sequence[float]) -> Interval:
    """How much a value rises for one more image, 95 % interval.

    The least-squares line, and Student's t with two degrees of freedom less than there
    are values, of which it takes three.
    """
    line = stats.linregress(images, values)
    reach = stats.t.ppf(0.975, len(images) - 2) * line.stderr
    return float(line.slope - reach), float(line.slope + reach)


def foretell(images: Sequence[int], values: Sequence[float], more_images: int) -> float:
    """Value for a larger number of images: the least-squares line goes on."""
    return float(np.polyval(np.polyfit(images, values, 1), more_images))


def paired_interval(
    first_correct: Sequence[bool], second_correct: Sequence[bool], seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of an accuracy difference on the same images.

    Images are drawn in pairs: what both get right or wrong says nothing about the
    difference. The seed of training is not varied, so its share is not covered.
    """
    difference = np.asarray(first_correct, float) - np.asarray(second_correct, float)
    count = len(difference)
    shares = [np.mean(difference == value) for value in (-1, 0, 1)]
    # Resampling images is drawing how many fall into each of the three kinds.
    drawn = stream(seed, BOOTSTRAP).multinomial(count, shares, size=NUM_RESAMPLES)
    low, high = np.percentile((drawn[:, 2] - drawn[:, 0]) / count, [2.5, 97.5])
    return float(low), float(high)


def mcnemar_p(first_correct: Sequence[bool], second_correct: Sequence[bool]) -> float:
    """Exact two-sided McNemar test (McNemar, 1947): are the two equally often right?

    Only images on which one is right and the other wrong count; with none p is 1.
    """
    first, second = np.asarray(first_correct), np.asarray(second_correct)
    only_first = int((first & ~second).sum())
    only_second = int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def paired_t_interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean of paired differences, Student's t (Student, 1908)."""
    mean = differences.mean()
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    reach = stats.t.ppf(0.975, len(differences) - 1) * error
    return float(mean - reach), float(mean + reach)
