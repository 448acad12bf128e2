"""The cards of a report's first page. Each card shows one figure for all arms."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor, log10

import numpy as np

from bench.judging.checks import MAX_LOGIT_DIFF
from bench.judging.intervals import accuracy_interval
from bench.records import ArmRecord, Results, whole_training_s
from bench.report.numbers import DASH, fixed, percent, short, tiny
from bench.report.words import PHASES, time_ratios

STEPS = {"train_step": "Step time", "image_step": "Step on full images"}
SMALLEST_DIFF = 1e-8  # left end of the axis for differences; the right end is 1


@dataclass(frozen=True)
class Mark:
    """Value of one arm as text, and its place on the card's axis from 0 to 1."""

    value: str
    detail: str = ""
    place: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Card:
    """Card with one figure for all arms.

    Attributes:
        marks: a mark for each arm; it has no place if the arm has no such value.
        meaning: an explanation of what was measured.
        is_bar: whether the value is drawn as a bar. A figure whose axis does not
            start at 0 is drawn as a dot.
        limit: the place of the largest value that passes the check.
    """

    title: str
    marks: dict[str, Mark]
    meaning: str
    verdict: str = ""
    is_failed: bool = False
    is_bar: bool = True
    axis: tuple[str, str] | None = None
    limit: float | None = None

    @property
    def has_values(self) -> bool:
        """Return whether any arm has a value."""
        return any(mark.place is not None for mark in self.marks.values())

    def cells(self, form: str = "{} ({})") -> list[str]:
        """Return the values as text for a table; `form` joins value and detail."""
        return [
            form.format(mark.value, mark.detail) if mark.detail else mark.value
            for mark in self.marks.values()
        ]


def make_cards(results: Results) -> list[Card]:
    """Return the cards for which at least one arm has a value."""
    cards = [
        _accuracy(results),
        _training(results),
        *(_step(results, phase, title) for phase, title in STEPS.items()),
        _memory(results),
        _onnx(results),
    ]
    return [card for card in cards if card.has_values]


def _marks(
    results: Results, make: Callable[[str, ArmRecord], Mark | None]
) -> dict[str, Mark]:
    """Return a mark for every arm. An arm for which `make` returns None gets a dash."""
    missing = {True: Mark(DASH), False: Mark("not run")}
    return {
        name: make(name, arm) or missing[arm.status == "ok"]
        for name, arm in results.arms.items()
    }


def _from_zero(marks: dict[str, Mark]) -> dict[str, Mark]:
    """Divide all places by the largest value, so that bar lengths can be compared."""
    found = [mark for mark in marks.values() if mark.place]
    ends = [mark.interval[1] if mark.interval else mark.place for mark in found]
    longest = max(ends, default=1.0)
    return {name: _moved(mark, 0.0, longest) for name, mark in marks.items()}


def _moved(mark: Mark, start: float, end: float) -> Mark:
    """Return the mark with its place on an axis that goes from `start` to `end`."""
    if mark.place is None:
        return mark

    def share(value: float) -> float:
        return (value - start) / (end - start)

    interval = mark.interval and (share(mark.interval[0]), share(mark.interval[1]))
    return replace(mark, place=share(mark.place), interval=interval)


def _accuracy(results: Results) -> Card:
    def mark(_: str, arm: ArmRecord) -> Mark | None:
        if arm.test is None:
            return None
        low, high = accuracy_interval(arm.test.accuracy, arm.test.images)
        detail = f"{100 * low:.1f} to {100 * high:.1f}"
        return Mark(percent(arm.test.accuracy), detail, arm.test.accuracy, (low, high))

    marks, found = _marks(results, mark), results.comparison
    lowest = min((m.interval[0] for m in marks.values() if m.interval), default=0.0)
    start = floor(10 * lowest) / 10
    return Card(
        title="Test accuracy",
        marks={name: _moved(one, start, 1.0) for name, one in marks.items()},
        meaning="the share of the test images that the best checkpoint classifies "
        "correctly, with its 95% interval",
        verdict=found.verdict if found and not results.further else "",
        is_bar=False,
        axis=(f"{100 * start:.0f}%", "100%"),
    )


def _training(results: Results) -> Card:
    def mark(_: str, arm: ArmRecord) -> Mark | None:
        if "epochs" not in arm.stages:
            return None
        seconds = whole_training_s(arm.stages)
        epochs = f"{len(arm.history)} epochs"
        return Mark(f"{fixed(seconds, 1)} s", epochs, seconds)

    return Card(
        title="Training time",
        marks=_from_zero(_marks(results, mark)),
        meaning="the time from decoded images to the best checkpoint. It includes "
        "starting the process, loading the framework, making the model and training it",
        verdict="measured once",
    )


def _step(results: Results, phase: str, title: str) -> Card:
    def mark(_: str, arm: ArmRecord) -> Mark | None:
        if phase not in arm.timing:
            return None
        record = arm.timing[phase]
        low, high = np.percentile(record.samples_ms, [25, 75])
        unit, ms = ("s", 1000) if record.median_ms >= 1000 else ("ms", 1)
        detail = f"{short(low / ms)} to {short(high / ms)}"
        value = f"{short(record.median_ms / ms)} {unit}"
        return Mark(value, detail, record.median_ms, (float(low), float(high)))

    ratios = time_ratios(results).values()
    verdicts = [found[phase].verdict for found in ratios if phase in found]
    return Card(
        title=title,
        marks=_from_zero(_marks(results, mark)),
        meaning=f"{PHASES.get(phase, phase)}. The card shows the median, and the range "
        "of the middle half of the samples",
        verdict=verdicts[0] if len(verdicts) == 1 else "",
    )


def _memory(results: Results) -> Card:
    timed = results.timing.memory if results.timing else {}
    trained = any(arm.memory for arm in results.arms.values())
    whose = "training" if trained else "timing"

    def mark(name: str, arm: ArmRecord) -> Mark | None:
        memory = arm.memory or timed.get(name)
        if memory is None:
            return None
        mib, device = memory.peak_rss_mib, memory.peak_device_mib
        on_gpu = f"GPU {fixed(device, 0)} MiB" if device else ""
        return Mark(f"{fixed(mib, 0)} MiB", on_gpu, mib)

    return Card(
        title="Peak memory",
        marks=_from_zero(_marks(results, mark)),
        meaning=f"the largest memory that the {whose} process took, including the "
        "pages of the files that it reads",
    )


def _onnx(results: Results) -> Card:
    def mark(_: str, arm: ArmRecord) -> Mark | None:
        if arm.onnx is None:
            return None
        parity = arm.onnx.parity
        agreement = parity.top1_agreement
        same = "same classes" if agreement == 1 else f"{percent(agreement)} same"
        return Mark(tiny(parity.max_scaled_diff), same, _on_log(parity.max_scaled_diff))

    checks = [one for one in results.checks if ": ONNX" in one.name]
    failed = any(not one.passed for one in checks)
    holds = "FAILS" if failed else "within the limit"
    return Card(
        title="ONNX parity",
        marks=_marks(results, mark),
        meaning="the largest difference between the logits of the exported file in "
        "onnxruntime and those of the framework, as a share of the largest logit. The "
        f"vertical line is the limit, {MAX_LOGIT_DIFF:g}",
        verdict=holds if checks else "",
        is_failed=failed,
        is_bar=False,
        axis=(f"{SMALLEST_DIFF:g}", "1"),
        limit=_on_log(MAX_LOGIT_DIFF),
    )


def _on_log(difference: float) -> float:
    """Return the place of a value on the logarithmic axis from `SMALLEST_DIFF` to 1."""
    within = min(max(difference, SMALLEST_DIFF), 1.0)
    return 1 - log10(within) / log10(SMALLEST_DIFF)
