"""What the answers cost: time, memory, and the exported model files."""

from collections.abc import Callable

from bench.report import plots
from bench.report.blocks import Block, Row, Table, Text
from bench.report.division import is_idiomatic, loading
from bench.report.numbers import DASH, fixed, percent, short, tiny
from bench.report.words import PHASES, STEADY_PHASES, timing_verdict
from shared.records import OnnxRecord, Results

Field = tuple[str, Callable[[OnnxRecord], str]]


def timing(results: Results) -> list[Block]:
    groups = _phase_groups(results)
    if not groups:
        return []
    figures = [plots.timing(results, names, group) for group, names in groups.items()]
    phases = [phase for names in groups.values() for phase in names]
    explained = [table for table in (_ratios(results), _meanings(phases)) if table]
    return [
        Text(
            "Cold phases happen once in a process and are paid before the first useful "
            "result; steady phases repeat for every batch after warm-up. The two are "
            "never added up, since which one matters depends on how long you train. "
            f"{_what_steps_leave_out(results)} {_allocator(results)}"
        ),
        Row(figures),
        _times(results, phases),
        Row(explained),
    ]


def _what_steps_leave_out(results: Results) -> str:
    if is_idiomatic(results):
        return (
            "All steps here run on one batch that is in memory; what loading images "
            "costs is part of the epochs (see the stages below)."
        )
    return (
        "All steps here run on images; a run that computes the frozen backbone's "
        "features once trains its epochs in much less time (see the stages below)."
    )


def _allocator(results: Results) -> str:
    names = ", ".join(results.environment.variables)
    if not names:
        return ""
    return (
        f"All arms ran with {names} set, so that freed memory is kept and used again: "
        "the results are the same, but with glibc's own settings an arm can take "
        "longer, PyTorch's most of all."
    )


def _phase_groups(results: Results) -> dict[str, list[str]]:
    """The recorded phases as cold, steady and other ones; no group is empty."""
    recorded = dict.fromkeys(p for arm in results.arms.values() for p in arm.timing)
    groups = {
        "cold": [p for p in PHASES if p in recorded and p not in STEADY_PHASES],
        "steady": [p for p in STEADY_PHASES if p in recorded],
        "other": [p for p in recorded if p not in PHASES],
    }
    return {group: names for group, names in groups.items() if names}


def _times(results: Results, phases: list[str]) -> Table:
    rows = [
        [
            phase,
            name,
            short(record.median_ms),
            short(record.iqr_ms),
            str(len(record.samples_ms)),
            fixed(record.images_per_second, 1),
        ]
        for phase in phases
        for name, record in plots.samples_of(results, phase).items()
    ]
    header = ["Phase", "Arm", "Median [ms]", "IQR [ms]", "Samples", "Images/s"]
    return Table("Times", "llrrrr", header, rows)


def _ratios(results: Results) -> Table | None:
    found = results.comparison
    if not found or not found.timing:
        return None
    rows = [
        [
            phase,
            short(one.ratio),
            " to ".join(map(short, one.interval)),
            timing_verdict(one, found.arms),
        ]
        for phase, one in found.timing.items()
    ]
    first, second = found.arms
    header = ["Phase", f"{first} / {second}", "95% interval", "Verdict"]
    title = f"Ratio of times; above 1, {first} takes longer than {second}"
    return Table(title, "lrrl", header, rows)


def _meanings(phases: list[str]) -> Table:
    rows = [[p, PHASES.get(p, "not described by this version")] for p in phases]
    return Table("What the phases are", "ll", ["Phase", "What is timed"], rows)


def stages(results: Results) -> list[Block]:
    tables = [_stage_seconds(results), _memory(results)]
    if not (present := [t for t in tables if t]):
        return []
    note = loading(results)
    return [Text(note), Row(present)] if note else [Row(present)]


def _stage_seconds(results: Results) -> Table | None:
    arms = {name: arm.stages for name, arm in results.arms.items() if arm.stages}
    if not arms:
        return None
    names = dict.fromkeys(stage for stages in arms.values() for stage in stages)
    rows = [[n, *(fixed(stages.get(n), 1) for stages in arms.values())] for n in names]
    total = ["total", *(fixed(sum(stages.values()), 1) for stages in arms.values())]
    title = "Seconds of each stage of the training process"
    return Table(title, "l" + "r" * len(arms), ["Stage", *arms], [*rows, total])


def _memory(results: Results) -> Table | None:
    rows = [
        [
            name,
            arm.device or DASH,
            fixed(arm.memory.peak_rss_mib, 0),
            fixed(arm.memory.peak_device_mib, 0),
        ]
        for name, arm in results.arms.items()
        if arm.memory
    ]
    title = "Device, and peak memory of the training process in MiB, export included"
    header = ["Arm", "Ran on", "Process", "Accelerator"]
    return Table(title, "llrr", header, rows) if rows else None


FILE_FIELDS: list[Field] = [
    ("File", lambda onnx: onnx.path),
    ("Size [MB]", lambda onnx: fixed(onnx.bytes / 1e6, 1)),
    ("Opset", lambda onnx: str(onnx.opset)),
    ("Images compared", lambda onnx: str(onnx.parity.images)),
    ("Batch sizes", lambda onnx: ", ".join(map(str, onnx.parity.batch_sizes))),
    ("max_abs_diff", lambda onnx: tiny(onnx.parity.max_abs_diff)),
    ("max_scaled_diff", lambda onnx: tiny(onnx.parity.max_scaled_diff)),
    ("Top-1 agreement", lambda onnx: percent(onnx.parity.top1_agreement)),
    ("Logit spread", lambda onnx: f"{onnx.parity.logit_spread:.3g}"),
]


def onnx(results: Results) -> list[Block]:
    files = {name: arm.onnx for name, arm in results.arms.items() if arm.onnx}
    blocks: list[Block] = []
    if files:
        rows = [
            [n, *(value(one) for one in files.values())] for n, value in FILE_FIELDS
        ]
        title = "Each file in onnxruntime against its own framework"
        align = "l" + "r" * len(files)
        blocks.append(Table(title, align, ["Property", *files], rows))
    if results.comparison and results.comparison.onnx_cross:
        blocks.append(_cross(results))
    return blocks


def _cross(results: Results) -> Table:
    cross = results.comparison.onnx_cross
    header = ["Images", "max_scaled_diff", "Top-1 agreement", "Logit spread"]
    title = "One trained classifier exported by both sides, file against file"
    row = [
        str(cross.images),
        tiny(cross.max_scaled_diff),
        percent(cross.top1_agreement),
        f"{cross.logit_spread:.3g}",
    ]
    return Table(title, "rrrr", header, [row])
