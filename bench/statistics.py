"""Intervals and tests: what a difference must have beside it."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from shared.records import TimingComparison, TimingRecord
from shared.sampling import BOOTSTRAP, stream

NUM_RESAMPLES = 10_000
NO_DIFFERENCE = "no difference shown"

# One list of milliseconds for each process that measured.
Rounds = list[list[float]]


def summarise(rounds: Rounds, images: int | None) -> TimingRecord:
    """Median and interquartile range of all samples; `images` in one sample."""
    samples = [sample for one_round in rounds for sample in one_round]
    low, median, high = np.percentile(samples, [25, 50, 75])
    return TimingRecord(
        median_ms=median,
        iqr_ms=high - low,
        samples_ms=samples,
        images_per_second=images / median * 1000 if images else None,
    )


def compare_times(
    first: Rounds, second: Rounds, names: tuple[str, str]
) -> TimingComparison:
    """Ratio of the typical times of two arms, with a 95 % interval.

    Samples of one process are not independent of each other, so each process counts
    once, by its median. Welch's t interval on the logarithms of these medians (Welch,
    1947) holds with as few as two processes, where a bootstrap is too narrow.

    Raises:
        ValueError: an arm has fewer than two processes, which say nothing about spread.
    """
    logs = [
        np.log([np.median(samples) for samples in rounds]) for rounds in (first, second)
    ]
    if min(map(len, logs)) < 2:
        raise ValueError("an interval needs at least two processes of each arm")
    test = stats.ttest_ind(*logs, equal_var=False)
    low, high = np.exp(test.confidence_interval(0.95))
    if low <= 1 <= high:
        verdict = NO_DIFFERENCE
    else:
        verdict = f"{names[0] if high < 1 else names[1]} takes less time"
    return TimingComparison(
        ratio=float(np.exp(logs[0].mean() - logs[1].mean())),
        interval=(float(low), float(high)),
        verdict=verdict,
    )


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
