"""State what an experiment shows, from its numbers and by rules."""

from collections.abc import Sequence

import numpy as np

from bench.records import (
    CellRecord,
    ExperimentRecord,
    ExperimentsRecord,
    SettingRecord,
)
from bench.report.numbers import (
    interval_name,
    p_value,
    percent,
    points,
    with_interval,
)

# What the workshop says of the same experiment, and why our figures differ.
WORKSHOP_ENTRIES = {
    "learning-rate": ("D01 Frozen batch norm",),
    "batch-norm": ("D01 Frozen batch norm",),
    "augmentation": ("D11 Rotation", "D12 Random crop and zoom"),
    "resize": ("D25 Squeezing or cropping to a square",),
}
WORKSHOP = {
    "learning-rate": "The workshop finds 0.001 to be the best rate, with a validation "
    "accuracy of 81.5% in a single run of its first network, which has no hidden "
    "layer. In its program the batch norm of the frozen backbone drifts, which costs "
    "accuracy. Here it is frozen.",
    "inner-size": "The workshop proposes 10, 100 and 1000 units and gives no figures. "
    "It builds its final network with 32 units.",
    "batch-norm": "The workshop freezes the parameters alone, so that its batch norm "
    "drifts, and validates with what has drifted.",
    "augmentation": "The workshop rotates by up to 10 degrees, keeps at least 90% of "
    "the area and flips half of the images. It gives no figure.",
    "resize": "The workshop squeezes, and so does every other run of this benchmark.",
    "dropout": "The workshop finds 0.2 to be the best rate, from a single run of each "
    "rate.",
}


def conclude(
    name: str, experiment: ExperimentRecord, record: ExperimentsRecord
) -> list[str]:
    """Return the sentences that the numbers of an experiment allow."""
    cells = [record.find(one, record.seeds[name]) for one in experiment.settings]
    if record.quick:
        return [
            "This was a quick run on few images. It shows that the experiment works, "
            "and gives no verdicts."
        ]
    missing = [s.name for s, own in zip(experiment.settings, cells, strict=True)
               if not own]  # fmt: skip
    said = [f"No training is finished for {_join(missing)}."] if missing else []
    judged = [setting for setting in experiment.settings if setting.verdict]
    if not judged:
        return [*said, "So nothing can be concluded yet."]
    base = experiment.settings[0].name
    return [
        *said,
        _summary(base, judged),
        *(_sentence(base, setting, record.margin) for setting in judged),
        _chosen_by_validation(experiment.settings, cells),
        _widest_gap(experiment.settings, cells),
        *_parted(experiment.settings, record),
        _test_used(experiment, len(judged)),
    ]


def _summary(base: str, settings: Sequence[SettingRecord]) -> str:
    """Sum up the settings that are compared with the base, and with no other one."""
    judged = [setting for setting in settings if not setting.against]
    better = [s.name for s in judged if s.verdict == "different" and s.change > 0]
    worse = [s.name for s in judged if s.verdict == "different" and s.change < 0]
    if better:
        return f"A higher test accuracy than with {base} is shown for {_join(better)}."
    if worse:
        return (
            f"No setting is shown to reach a higher test accuracy than {base}, and "
            f"{_join(worse)} is shown to reach a lower one."
            if len(worse) == 1
            else f"No setting is shown to reach a higher test accuracy than {base}, "
            f"and {_join(worse)} are shown to reach lower ones."
        )
    return f"No difference in test accuracy from {base} is shown for any setting."


def _sentence(base: str, setting: SettingRecord, margin: float) -> str:
    change = with_interval(setting.change, setting.interval)
    interval = interval_name(setting.confidence)
    # A comparison with another setting than the base has it in its name.
    compared = setting.name if setting.against else f"{setting.name} against {base}"
    found = f"{compared}: {change} points, {interval}"
    reach = f"{100 * margin:g} points"
    if setting.verdict == "different":
        return f"{found}, different."
    if setting.verdict == "equal":
        tests = f"two one-sided tests exclude a difference of {reach} or more"
        return f"{found}, equal: {tests} (p {p_value(setting.p_equal)})."
    return f"{found}, undecided: neither 0 nor {reach} can be excluded."


def _chosen_by_validation(
    settings: Sequence[SettingRecord], cells: Sequence[list[CellRecord]]
) -> str:
    """Name the setting that one would choose without looking at the test images."""
    means = [
        float(np.mean([c.best.validation for c in own])) if own else -1.0
        for own in cells
    ]
    place = int(np.argmax(means))
    return (
        f"By validation accuracy one would choose {settings[place].name} "
        f"({percent(means[place])})."
    )


def _widest_gap(
    settings: Sequence[SettingRecord], cells: Sequence[list[CellRecord]]
) -> str:
    gaps = [
        float(np.mean([c.best.train - c.best.validation for c in own])) if own else 0.0
        for own in cells
    ]
    place = int(np.argmax(gaps))
    return (
        "The widest gap between training and validation accuracy, a sign of "
        f"overfitting, is that of {settings[place].name} ({points(gaps[place])} "
        "points; training accuracy is measured with dropout)."
    )


def _parted(settings: Sequence[SettingRecord], record: ExperimentsRecord) -> list[str]:
    """Name the settings for which the two frameworks do not predict the same."""
    apart = [(cell.changes, cell.share) for cell in record.differing]
    names = [s.name for s in settings if (s.changes, s.share) in apart]
    if not names:
        return []
    return [
        f"With {_join(names)} the training makes rounding errors grow until the two "
        "frameworks predict different classes. With the other settings they predict "
        "the same."
    ]


def _test_used(experiment: ExperimentRecord, count: int) -> str:
    together = f", {count} settings judged together" if count > 1 else ""
    return f"Decided by {experiment.test}{together}."


def _join(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
