"""Compare two arms, and decide which statements about a run hold."""

from collections.abc import Sequence

import numpy as np

from bench.statistics import (
    MIN_ROUNDS,
    NO_DIFFERENCE,
    Rounds,
    compare_times,
    growth,
    holds_one,
    mcnemar_p,
    paired_interval,
    slope_interval,
)
from shared.records import (
    ArmRecord,
    Check,
    ComparisonRecord,
    ControlRecord,
    IdiomsRecord,
    OnnxCross,
    OnnxParity,
    ParityRecord,
    ScalingRecord,
    TimingComparison,
    TimingRunRecord,
)

# Float32 keeps seven digits; 52 convolutions deep, a few of them are spent.
MAX_FEATURE_DIFF = 1e-5
MAX_LOGIT_DIFF = 1e-4
# Logits of an untrained network are all alike, and any tolerance passes.
MIN_LOGIT_SPREAD = 0.1
MAX_OVERHEAD = 0.01
MAX_CONTROL_ERROR = 0.02
CONTROL_PHASES = {"image_step", "forward", "epoch"}
# 1,000 images are 144 MiB, and their features 5: neither may stay in memory.
MAX_MEMORY_GROWTH_MIB = 1.0
MAX_TIME_EXPONENT = 1.1


def compare_arms(
    names: tuple[str, str],
    arms: tuple[ArmRecord, ArmRecord],
    labels: np.ndarray,
    seed: int,
) -> ComparisonRecord:
    """Compare what two arms predict for the same test images.

    Args:
        labels: of the test images, (N,).
    """
    first, second = (np.array(arm.test.predictions) for arm in arms)
    correct = first == labels, second == labels
    interval = paired_interval(*correct, seed)
    difference = float(correct[0].mean() - correct[1].mean())
    shown = not interval[0] <= 0 <= interval[1]
    better = names[0] if difference > 0 else names[1]
    return ComparisonRecord(
        arms=names,
        test_accuracy_difference=difference,
        test_accuracy_interval=interval,
        validation_accuracy_difference=(
            arms[0].validation.accuracy - arms[1].validation.accuracy
        ),
        top1_agreement=float(np.mean(first == second)),
        mcnemar_p=mcnemar_p(*correct),
        verdict=f"{better} is more accurate" if shown else NO_DIFFERENCE,
    )


def compare_timing(
    names: tuple[str, str],
    rounds: dict[str, dict[str, Rounds]],
    confidence: float = 0.95,
) -> dict[str, TimingComparison]:
    """Compare every phase that both arms measured in five rounds or more.

    Args:
        rounds: samples by arm and phase.
    """
    first, second = (rounds[name] for name in names)
    return {
        phase: compare_times(first[phase], second[phase], names, confidence)
        for phase in first
        if len(first[phase].keys() & second.get(phase, {}).keys()) >= MIN_ROUNDS
    }


def make_checks(
    arms: dict[str, ArmRecord],
    comparisons: Sequence[ComparisonRecord] = (),
    parity: ParityRecord | None = None,
    timing: TimingRunRecord | None = None,
    scaling: ScalingRecord | None = None,
    idioms: IdiomsRecord | None = None,
) -> list[Check]:
    """Everything about a run that passes or fails."""
    checks: list[Check] = []
    for name, arm in arms.items():
        if arm.onnx:
            checks += _parity_checks(f"{name}: ONNX", arm.onnx.parity)
        elif "export" in arm.stages:
            checks.append(_failed(f"{name}: ONNX runs"))
    for one in comparisons:
        if one.features_max_scaled_diff is not None:
            name = f"backbone features, {' against '.join(one.arms)}"
            found = one.features_max_scaled_diff
            checks.append(_at_most(name, found, MAX_FEATURE_DIFF))
        if one.onnx_cross:
            checks += _parity_checks("ONNX across", one.onnx_cross)
    if parity:
        failed = sum(not rung.passed for rung in parity.judged)
        checks.append(_at_most("rungs of the parity ladder that fail", failed, 0))
    if timing:
        checks += _timing_checks(arms, timing)
    if timing and timing.control and not arms:  # else it is quoted from an earlier run
        checks += _control_checks(timing.control)
    if scaling:
        checks += _scaling_checks(scaling)
    if idioms:
        checks += _idiom_checks(idioms)
    return checks


def _timing_checks(arms: dict[str, ArmRecord], timing: TimingRunRecord) -> list[Check]:
    return [
        _at_most(
            f"{name}: share of the timing itself in a step",
            timing.overhead_ms[name] / arm.timing["train_step"].median_ms,
            MAX_OVERHEAD,
        )
        for name, arm in arms.items()
        if "train_step" in arm.timing
    ]


def _control_checks(control: ControlRecord) -> list[Check]:
    """An arm against itself: intervals contain 1, and steady phases are close to it."""
    checks = []
    for arm, ratios in control.arms.items():
        out = [p for p, one in ratios.items() if not holds_one(one.interval)]
        name = f"{arm} against itself: intervals without 1"
        checks.append(_at_most(name, len(out), 0))
        for phase in sorted(CONTROL_PHASES):
            found = abs(ratios[phase].ratio - 1) if phase in ratios else 1.0
            name = f"{arm} against itself: {phase}, off 1 by"
            checks.append(_at_most(name, found, MAX_CONTROL_ERROR))
    return checks


def _scaling_checks(scaling: ScalingRecord) -> list[Check]:
    checks = []
    for arm, points in scaling.by_arm.items():
        if len(points) < 3:
            continue
        images = [point.images for point in points]
        seconds = [point.training_s for point in points]
        name = f"{arm}: exponent of training time by images"
        checks.append(_at_most(name, growth(images, seconds), MAX_TIME_EXPONENT))
        for what in ("private", "device"):
            peaks = [getattr(point.memory, f"peak_{what}_mib") for point in points]
            if all(peaks):
                # Peaks of equal processes differ too, by tens of MiB: by their heaps.
                name = f"{arm}: MiB of {what} memory for 1,000 more images, at least"
                least, _ = slope_interval(images, peaks)
                checks.append(_at_most(name, 1000 * least, MAX_MEMORY_GROWTH_MIB))
    return checks


def _idiom_checks(idioms: IdiomsRecord) -> list[Check]:
    """No rung is shown to be less accurate than the one before."""
    checks = []
    for arm, rungs in idioms.arms.items():
        # All at once with 95 %: of many, some would fall below 0.05 by chance.
        limit = 0.05 / max(1, len(rungs) - 1)
        for rung in rungs[1:]:
            name = f"{arm}, {rung.name}: McNemar's p of a loss of test accuracy"
            value = rung.mcnemar_p if rung.difference < 0 else 1.0
            checks.append(_at_least(name, value, limit))
    return checks


def _parity_checks(name: str, parity: OnnxParity | OnnxCross) -> list[Check]:
    agreement, spread = parity.top1_agreement, parity.logit_spread
    return [
        _at_most(f"{name} max_scaled_diff", parity.max_scaled_diff, MAX_LOGIT_DIFF),
        Check(
            name=f"{name} top1_agreement",
            value=agreement,
            limit="= 1",
            passed=agreement == 1,
        ),
        _at_least(f"{name} logit_spread", spread, MIN_LOGIT_SPREAD),
    ]


def _failed(name: str) -> Check:
    return Check(name=name, value=0, limit="= 1", passed=False)


def _at_most(name: str, value: float, limit: float) -> Check:
    return Check(name=name, value=value, limit=f"<= {limit:g}", passed=value <= limit)


def _at_least(name: str, value: float, limit: float) -> Check:
    return Check(name=name, value=value, limit=f">= {limit:g}", passed=value >= limit)
