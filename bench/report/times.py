"""The sections on times: every phase of every arm, ratios, and how they were taken."""

from bench.records import (
    ControlRecord,
    MachineState,
    OperationRecord,
    Results,
    TimingComparison,
    TimingRunRecord,
)
from bench.report import plots
from bench.report.blocks import Block, Row, Table, Text
from bench.report.division import is_plain
from bench.report.numbers import DASH, fixed, short
from bench.report.words import PHASES, STEADY_PHASES, time_ratios

SHORTEST_MS = 0.1  # operations that take less are not shown


def timing(results: Results) -> list[Block]:
    groups = _phase_groups(results)
    if not groups:
        return []
    figures = [plots.timing(results, names, group) for group, names in groups.items()]
    phases = [phase for names in groups.values() for phase in names]
    ratios = [
        _ratio_table(
            f"Ratio of times. Above 1, {first} takes longer than {second}. The phases "
            "are judged together",
            f"{first} / {second}",
            found,
        )
        for (first, second), found in time_ratios(results).items()
    ]
    return [
        Text(
            "Cold phases happen once in a process, before its first useful result. "
            "Steady phases repeat for every batch after the warm-up. The two kinds are "
            "never added up, since their shares depend on how long you train. "
            f"{_what_steps_leave_out(results)} {_allocator(results)}"
        ),
        Row(figures),
        _times(results, phases),
        Row([*ratios, _meanings(phases)]),
        *_operations(results),
        *(_conditions(results) if results.timing else []),
    ]


def control(results: Results) -> list[Block]:
    """Return the section of a run that made the control alone."""
    if results.arms or not results.timing or not results.timing.control:
        return []
    return _conditions(results)


def _conditions(results: Results) -> list[Block]:
    """Return how the times were taken, and the control of this machine."""
    timing, most = results.timing, results.config["timing_warmup_steps"]
    took = ", ".join(f"{n} {1000 * ms:.1f}" for n, ms in timing.overhead_ms.items())
    turns = "Each process was alone on the machine, from its start to its end. "
    if timing.samples_in_a_turn:
        turns = (
            "Cold phases were timed first, in processes that were alone on the "
            "machine; these are the first half of the orders. For the steady phases, "
            "the processes of all arms run at the same time and take turns of "
            f"{timing.samples_in_a_turn} sample, so that other load on the machine "
            "affects all arms equally. Before the sample of a short phase there is a "
            "call that is not kept. A ratio compares samples of the same turn. "
            "onnxruntime is timed without turns. "
        )
    orders = "; ".join(", ".join(order) for order in timing.order)
    return [
        Text(
            f"The times were taken in {timing.rounds} rounds. In each round, each arm "
            f"had a fresh process. The processes started in this order: {orders}. "
            f"{turns}Steady samples follow a warm-up, which ends when two windows of "
            f"three calls agree to 5%, or after {most} calls. The timing itself adds "
            f"to each call, in microseconds: {took}."
        ),
        *_cut_short(results),
        Row([states(timing.before, timing.after), *_memory(timing)]),
        *_control(timing.control),
    ]


def _cut_short(results: Results) -> list[Text]:
    """Name the phases that have fewer samples than asked for, as calls took long."""
    found = [
        f"{name} ({', '.join(phases)})"
        for name, phases in results.timing.cut_short.items()
        if phases
    ]
    if not found:
        return []
    return [
        Text(
            f"The machine was busy, or is slow: {'; '.join(found)} took all of the "
            f"{results.config['timing_budget_s']:g} seconds that a phase may take in a "
            "process. Only the samples of these seconds were kept."
        )
    ]


def _operations(results: Results) -> list[Table]:
    """Return the operations of each exported graph, which explain its time."""
    found = results.timing.operations if results.timing else {}
    arms = {name: found[name] for name in results.arms if name in found}
    most: dict[str, float] = {}  # milliseconds in the arm where it takes the longest
    for name, one in (pair for of_arm in arms.values() for pair in of_arm.items()):
        most[name] = max(one.milliseconds, most.get(name, 0.0))
    rows = [
        [name, *(_count_and_time(of_arm.get(name)) for of_arm in arms.values())]
        for name in sorted(most, key=most.get, reverse=True)
        if most[name] >= SHORTEST_MS
    ]
    title = (
        "Operations that onnxruntime runs for a batch of images, by kind. Their times "
        "are those of onnxruntime's profile, in the fastest of several passes of the "
        f"last round. Operations below {SHORTEST_MS} ms are left out"
    )
    align = "l" + "r" * len(arms)
    return [Table(title, align, ["Operation", *arms], rows)] if rows else []


def _count_and_time(operation: OperationRecord | None) -> str:
    if operation is None:
        return DASH
    return f"{operation.count} in {operation.milliseconds:.1f} ms"


def states(before: MachineState, after: MachineState) -> Table:
    """Return load, clocks and temperatures before and after the measurements."""

    def told(state: MachineState) -> list[str]:
        gpu = [fixed(state.gpu_mhz, 0), fixed(state.gpu_celsius, 0)]
        cpu = [fixed(state.cpu_mhz, 0), fixed(state.cpu_celsius, 0)]
        return [fixed(state.load_average, 2), *cpu, *gpu]

    names = (
        "Load average, 1 minute",
        "CPU clock [MHz]",
        "CPU temperature [°C]",
        "GPU clock [MHz]",
        "GPU temperature [°C]",
    )
    told_twice = zip(names, told(before), told(after), strict=True)
    rows = [list(row) for row in told_twice if set(row[1:]) != {DASH}]
    return Table("The machine", "lrr", ["", "Before", "After"], rows)


def _memory(timing: TimingRunRecord) -> list[Table]:
    rows = [
        [name, fixed(memory.peak_rss_mib, 0), fixed(memory.peak_device_mib, 0)]
        for name, memory in timing.memory.items()
    ]
    header = ["Arm", "Process", "Accelerator"]
    title = "Peak memory of a timing process [MiB]"
    return [Table(title, "lrr", header, rows)] if rows else []


def _control(control: ControlRecord | None) -> list[Block]:
    if control is None:
        return [
            Text(
                "No arm was timed against itself on this machine with these versions. "
                "The command python -m bench control does this."
            )
        ]
    tables = [
        _ratio_table(f"{arm} against itself", "Ratio", ratios)
        for arm, ratios in control.arms.items()
    ]
    return [
        Text(
            "The A/A control times each arm against itself, with the same rounds and "
            f"statistics. It had {control.rounds} rounds and started at "
            f"{control.started_at}. Every ratio should be 1. If a ratio is off by some "
            "percent, a difference between two arms can be off by as much. The phases "
            "of an arm are judged together."
        ),
        Row(tables),
    ]


def _what_steps_leave_out(results: Results) -> str:
    if is_plain(results):
        return (
            "All steps here run on one batch that is in memory. The time of loading "
            "images is part of the epochs (see the stages below)."
        )
    if not results.config.get("cache_features") or results.config.get("augment"):
        return "All steps here run on images that are in memory."
    said = (
        "This run computes the features of the frozen backbone once, and its epochs "
        "train on these features. Its train_step is therefore a step on a batch of "
        "features. The phases image_step and forward run on images, through the whole "
        "network."
    )
    if results.config.get("fold_batch_norm"):
        said += (
            " If epochs on images are timed, batch norm is folded into the frozen "
            "convolutions there, so that they take less time than image_step suggests."
        )
    return said


def _allocator(results: Results) -> str:
    names = ", ".join(results.environment.variables)
    if not names:
        return ""
    return (
        f"All arms ran with {names} set, so that freed memory is kept and used again. "
        "The results are the same as with glibc's defaults, but with these defaults "
        "the arms can take longer, PyTorch most of all."
    )


def _phase_groups(results: Results) -> dict[str, list[str]]:
    """Group the recorded phases into cold, steady and other; no group is empty."""
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
            record.stability,
        ]
        for phase in phases
        for name, record in plots.samples_of(results, phase).items()
    ]
    header = ["Phase", "Arm", "Median [ms]", "IQR [ms]", "Samples", "Images/s", ""]
    title = (
        "Times. They are noisy if the IQR is more than 10% of the median, and unstable "
        "if it is more than 25%"
    )
    return Table(title, "llrrrrl", header, rows)


def _ratio_table(title: str, name: str, ratios: dict[str, TimingComparison]) -> Table:
    rows = [
        [phase, short(one.ratio), " to ".join(map(short, one.interval)), one.verdict]
        for phase, one in ratios.items()
    ]
    return Table(title, "lrrl", ["Phase", name, "Interval", "Verdict"], rows)


def _meanings(phases: list[str]) -> Table:
    rows = [[p, PHASES.get(p, "not described by this version")] for p in phases]
    return Table("What the phases are", "ll", ["Phase", "What is timed"], rows)
