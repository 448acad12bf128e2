"""Compare two arms: their predictions, their times and their memory."""

from collections.abc import Sequence

import numpy as np

from bench.judging.intervals import (
    NO_DIFFERENCE,
    Decision,
    Rounds,
    accuracy_difference,
    compare_times,
    decide,
    is_shown,
)
from bench.records import ArmRecord, ComparisonRecord, ScalingPoint, TimingComparison

# The heap may grow by a dozen MiB at any time, which would fail a shorter pass.
MIN_PASS_IMAGES = 8000  # between the two readings


def compare_arms(
    arms: dict[str, ArmRecord], labels: np.ndarray
) -> list[ComparisonRecord]:
    """Compare the predictions of the first arm with those of each other arm.

    The differences in accuracy are judged together.

    Args:
        labels: labels of the test images, (N,).
    """
    predictions = {name: np.array(arm.test.predictions) for name, arm in arms.items()}
    first, *others = arms
    right = predictions[first] == labels
    family = [accuracy_difference(right, predictions[n] == labels) for n in others]
    validation = {name: arm.validation.accuracy for name, arm in arms.items()}
    return [
        ComparisonRecord(
            arms=(first, other),
            test_accuracy_difference=found.estimate,
            test_accuracy_interval=found.interval,
            test_accuracy_confidence=found.confidence,
            validation_accuracy_difference=validation[first] - validation[other],
            top1_agreement=float(np.mean(predictions[first] == predictions[other])),
            mcnemar_p=found.p,
            verdict=_describe_accuracy(found, (first, other)),
        )
        for other, found in zip(others, decide(family), strict=True)
    ]


def _describe_accuracy(found: Decision, names: tuple[str, str]) -> str:
    if not is_shown(found.interval):
        return NO_DIFFERENCE
    return f"{names[0] if found.estimate > 0 else names[1]} is more accurate"


def compare_timing(
    names: tuple[str, str], rounds: dict[str, dict[str, Rounds]]
) -> dict[str, TimingComparison]:
    """Compare every phase that both arms measured in five rounds or more.

    The phases are judged together.

    Args:
        rounds: samples by arm and phase.
    """
    first, second = (rounds[name] for name in names)
    pairs = {phase: (first[phase], second.get(phase, {})) for phase in first}
    return compare_times(pairs, names)


def memory_growth(points: Sequence[ScalingPoint]) -> dict[str, float]:
    """Return the MiB that 1,000 images add in the largest pass, by kind of memory.

    The result is empty if no pass over enough images was measured.
    """
    found = points[-1].one_pass
    return found.growth_mib if found and found.images >= MIN_PASS_IMAGES else {}
