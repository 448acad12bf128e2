"""Sections on training stages, memory, and the exported model files."""

from collections.abc import Callable

from bench.records import OnnxRecord, Results
from bench.report.blocks import Block, Row, Table, Text
from bench.report.division import loading
from bench.report.numbers import DASH, fixed, percent, tiny

Field = tuple[str, Callable[[OnnxRecord], str]]


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
    title = "Device, and peak memory of the training process [MiB]"
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
        title = "Each file in onnxruntime, compared with its own framework"
        align = "l" + "r" * len(files)
        blocks.append(Table(title, align, ["Property", *files], rows))
    if results.comparison and results.comparison.onnx_cross:
        blocks.append(_cross(results))
    return blocks


def _cross(results: Results) -> Table:
    cross = results.comparison.onnx_cross
    header = ["Images", "max_scaled_diff", "Top-1 agreement", "Logit spread"]
    title = "One trained classifier, exported by both sides; the two files compared"
    row = [
        str(cross.images),
        tiny(cross.max_scaled_diff),
        percent(cross.top1_agreement),
        f"{cross.logit_spread:.3g}",
    ]
    return Table(title, "rrrr", header, [row])
