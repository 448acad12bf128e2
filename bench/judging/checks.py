"""Decide which statements about a run hold."""

from collections.abc import Sequence

from bench.judging.comparison import memory_growth
from bench.judging.intervals import SIGNIFICANCE, growth, is_shown
from bench.records import (
    ArmRecord,
    Check,
    ComparisonRecord,
    ControlRecord,
    ExperimentsRecord,
    OnnxCross,
    ParityRecord,
    ScalingRecord,
    SpeedupsRecord,
    TimingRunRecord,
)
from shared.metrics import ROUNDING_OF_LOGITS

# Float32 has seven digits, and 52 convolutions lose a few of them to rounding.
MAX_FEATURE_DIFF = 1e-5
MAX_LOGIT_DIFF = ROUNDING_OF_LOGITS
# An untrained network has nearly equal logits, which would pass any comparison.
MIN_LOGIT_SPREAD = 0.1
MAX_OVERHEAD = 0.01
MAX_CONTROL_ERROR = 0.02
CONTROL_PHASES = {"image_step", "forward", "epoch"}
# 1,000 images take 144 MiB and their features 5 MiB. Neither may stay in memory.
MAX_MEMORY_GROWTH_MIB = 2.5
MAX_TIME_EXPONENT = 1.1


def make_checks(
    arms: dict[str, ArmRecord],
    comparisons: Sequence[ComparisonRecord] = (),
    parity: ParityRecord | None = None,
    timing: TimingRunRecord | None = None,
    scaling: ScalingRecord | None = None,
    speedups: SpeedupsRecord | None = None,
    experiments: ExperimentsRecord | None = None,
) -> list[Check]:
    """Return every check of a run, passed or failed."""
    checks: list[Check] = []
    for name, arm in arms.items():
        if arm.onnx:
            checks += _parity_checks(f"{name}: ONNX", arm.onnx.parity)
        elif "export" in arm.stages:
            checks.append(_at_least(f"{name}: ONNX runs", 0, 1))
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
    # In a run with arms, the control is quoted from an earlier run.
    if timing and timing.control and not arms:
        checks += _control_checks(timing.control)
    if scaling:
        checks += _scaling_checks(scaling)
    if speedups:
        checks += _speedup_checks(speedups)
    if experiments:
        checks += _experiment_checks(experiments)
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
    """Check that no ratio of an arm to itself is shown or far from 1."""
    checks = []
    for arm, ratios in control.arms.items():
        out = [p for p, one in ratios.items() if is_shown(one.interval, equal=1)]
        name = f"{arm} against itself: intervals without 1"
        checks.append(_at_most(name, len(out), 0))
        for phase in sorted(CONTROL_PHASES):
            found = abs(ratios[phase].ratio - 1) if phase in ratios else 1.0
            name = f"{arm} against itself: {phase}, off 1 by"
            checks.append(_at_most(name, found, MAX_CONTROL_ERROR))
    return checks


def _scaling_checks(scaling: ScalingRecord) -> list[Check]:
    """Check that time is about linear in the number of images, and memory constant."""
    checks = []
    for arm, points in scaling.by_arm.items():
        if len(points) >= 3:
            images = [point.images for point in points]
            seconds = [point.training_s for point in points]
            name = f"{arm}: exponent of training time by images"
            checks.append(_at_most(name, growth(images, seconds), MAX_TIME_EXPONENT))
        for memory, grown in memory_growth(points).items():
            name = f"{arm}: MiB of {memory} memory that 1,000 images of a pass add"
            checks.append(_at_most(name, grown, MAX_MEMORY_GROWTH_MIB))
    return checks


def _speedup_checks(speedups: SpeedupsRecord) -> list[Check]:
    """Check that no version is shown to be less accurate than the previous version."""
    return [
        Check(
            name=f"{arm}, {rung.name}: McNemar's p of a loss of test accuracy",
            value=rung.mcnemar_p if rung.difference < 0 else 1.0,
            limit=f">= {SIGNIFICANCE:g}",
            passed=rung.difference >= 0 or not is_shown(rung.difference_interval),
        )
        for arm, rungs in speedups.arms.items()
        for rung in rungs[1:]
    ]


def _experiment_checks(experiments: ExperimentsRecord) -> list[Check]:
    """Check that both arms train alike; growing rounding errors are no difference."""
    checks = []
    if experiments.pairs:
        name = f"of {experiments.pairs} trainings on both arms, those that differ"
        unexplained = sum(not one.by_rounding for one in experiments.differing)
        checks.append(_at_most(name, unexplained, 0))
    for name, found in experiments.features.items():
        checks.append(_at_most(f"features, {name}", found, MAX_FEATURE_DIFF))
    return checks


def _parity_checks(name: str, parity: OnnxCross) -> list[Check]:
    return [
        _at_most(f"{name} max_scaled_diff", parity.max_scaled_diff, MAX_LOGIT_DIFF),
        _at_least(f"{name} top1_agreement", parity.top1_agreement, 1),
        _at_least(f"{name} logit_spread", parity.logit_spread, MIN_LOGIT_SPREAD),
    ]


def _at_most(name: str, value: float, limit: float) -> Check:
    return Check(name=name, value=value, limit=f"<= {limit:g}", passed=value <= limit)


def _at_least(name: str, value: float, limit: float) -> Check:
    return Check(name=name, value=value, limit=f">= {limit:g}", passed=value >= limit)
