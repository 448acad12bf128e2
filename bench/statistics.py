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
    first: Rounds, second: Rounds, names: tuple[str, str], seed: int = 0
) -> TimingComparison:
    """Ratio of the medians with a 95 % bootstrap interval.

    Samples of one process are not independent of each other, so processes are drawn
    with replacement first and samples within each of them second (Davison and Hinkley,
    "Bootstrap Methods", 1997, section 3.8).
    """
    random = stream(seed, BOOTSTRAP)
    medians = [_resampled_medians(rounds, random) for rounds in (first, second)]
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    ratio = float(np.median(np.concatenate(first)) / np.median(np.concatenate(second)))
    # A percentile interval of few, skewed samples may miss its own estimate.
    interval = (min(float(low), ratio), max(float(high), ratio))
    if interval[0] <= 1 <= interval[1]:
        verdict = NO_DIFFERENCE
    elif ratio > 1:
        verdict = f"{names[1]} takes less time"
    else:
        verdict = f"{names[0]} takes less time"
    return TimingComparison(ratio=ratio, interval=interval, verdict=verdict)


def _resampled_medians(rounds: Rounds, random: np.random.Generator) -> np.ndarray:
    """Medians (NUM_RESAMPLES,) of samples drawn within processes drawn."""
    samples = np.array(rounds)  # (processes, samples)
    processes, count = samples.shape
    drawn = random.integers(processes, size=(NUM_RESAMPLES, processes, 1))
    within = random.integers(count, size=(NUM_RESAMPLES, processes, count))
    return np.median(samples[drawn, within], axis=(1, 2))


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
