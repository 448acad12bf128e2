"""Times in a report: every phase of every arm, ratios, and what they rest on."""

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

SHORTEST_MS = 0.1  # of operations that are shown


def timing(results: Results) -> list[Block]:
    groups = _phase_groups(results)
    if not groups:
        return []
    figures = [plots.timing(results, names, group) for group, names in groups.items()]
    phases = [phase for names in groups.values() for phase in names]
    ratios = [
        _ratio_table(
            f"Ratio of times; above 1, {first} takes longer than {second}; the phases "
            "are judged together",
            f"{first} / {second}",
            found,
        )
        for (first, second), found in time_ratios(results).items()
    ]
    return [
        Text(
            "Cold phases happen once in a process and are paid before the first useful "
            "result; steady phases repeat for every batch after warm-up. The two are "
            "never added up, since which one matters depends on how long you train. "
            f"{_what_steps_leave_out(results)} {_allocator(results)}"
        ),
        Row(figures),
        _times(results, phases),
        Row([*ratios, _meanings(phases)]),
        *_operations(results),
        *(_conditions(results) if results.timing else []),
    ]


def control(results: Results) -> list[Block]:
    """A run of the control alone."""
    if results.arms or not results.timing or not results.timing.control:
        return []
    return _conditions(results)


def _conditions(results: Results) -> list[Block]:
    """How the times were taken, and what this machine makes of no difference."""
    timing, most = results.timing, results.config["timing_warmup_steps"]
    took = ", ".join(f"{n} {1000 * ms:.1f}" for n, ms in timing.overhead_ms.items())
    turns = "Each of them was alone on the machine, from its start to its end. "
    if timing.samples_in_a_turn:
        turns = (
            "Cold phases come from processes that were alone on the machine, in the "
            "first half of these orders. Those for "
            "steady phases were started after them, are there at the same time and "
            f"work in turns of {timing.samples_in_a_turn} sample, short ones after a "
            "call that is not kept: what else the machine does meets them all, and "
            "ratios are of samples from the same turns. onnxruntime has no turns. "
        )
    orders = "; ".join(", ".join(order) for order in timing.order)
    return [
        Text(
            f"Taken in {timing.rounds} rounds, a fresh process for each arm in each, "
            f"started in this order: {orders}. {turns}Steady samples follow a warm-up "
            f"until two windows of three calls agree to 5%, or of {most} calls. "
            f"Timing itself adds, in microseconds a call: {took}."
        ),
        *_cut_short(results),
        Row([states(timing.before, timing.after), *_memory(timing)]),
        *_control(timing.control),
    ]


def _cut_short(results: Results) -> list[Text]:
    """Which phases have fewer samples than they should, because calls took long."""
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
            "process, and kept the samples that it had by then."
        )
    ]


def _operations(results: Results) -> list[Table]:
    """Why one exported graph takes longer than another."""
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
        "What onnxruntime makes of each graph: operations of each kind for a batch of "
        "images, with their milliseconds by its own account, in the fastest pass of "
        f"several in the last round; those of {SHORTEST_MS} ms and more"
    )
    align = "l" + "r" * len(arms)
    return [Table(title, align, ["Operation", *arms], rows)] if rows else []


def _count_and_time(operation: OperationRecord | None) -> str:
    if operation is None:
        return DASH
    return f"{operation.count} in {operation.milliseconds:.1f} ms"


def states(before: MachineState, after: MachineState) -> Table:
    """What the machine told of itself before and after it was measured."""

    def told(state: MachineState) -> list[str]:
        gpu = [fixed(state.gpu_mhz, 0), fixed(state.gpu_celsius, 0)]
        cpu = [fixed(state.cpu_mhz, 0), fixed(state.cpu_celsius, 0)]
        return [fixed(state.load_average, 2), *cpu, *gpu]

    names = (
        *("Load average, 1 minute", "CPU clock [MHz]", "CPU temperature [°C]"),
        *("GPU clock [MHz]", "GPU temperature [°C]"),
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
                "No arm was timed against itself on this machine with these versions: "
                "python -m bench control does it."
            )
        ]
    tables = [
        _ratio_table(f"{arm} against itself", "Ratio", ratios)
        for arm, ratios in control.arms.items()
    ]
    return [
        Text(
            "A/A control: each arm against itself through the same rounds and "
            f"statistics, {control.rounds} rounds, started {control.started_at}. Every "
            "ratio should be 1; what one is off by, a difference between the arms may "
            "be too. The phases of an arm are judged together."
        ),
        Row(tables),
    ]


def _what_steps_leave_out(results: Results) -> str:
    if is_plain(results):
        return (
            "All steps here run on one batch that is in memory; what loading images "
            "costs is part of the epochs (see the stages below)."
        )
    if not results.config.get("cache_features") or results.config.get("augment"):
        return "All steps here run on images that are in memory."
    said = (
        "This run computes the frozen backbone's features once: train_step is a step "
        "on a batch of features, as each of its epochs takes it; image_step and "
        "forward run on images, through the network as it is."
    )
    if results.config.get("fold_batch_norm"):
        said += (
            " Epochs on images, where they are timed, have batch norm folded into the "
            "frozen convolutions, and take less time than their steps would."
        )
    return said


def _allocator(results: Results) -> str:
    names = ", ".join(results.environment.variables)
    if not names:
        return ""
    return (
        f"All arms ran with {names} set, so that freed memory is kept and used again: "
        "the results are the same, but with glibc left alone an arm can take longer, "
        "PyTorch's most of all."
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
            record.stability,
        ]
        for phase in phases
        for name, record in plots.samples_of(results, phase).items()
    ]
    header = ["Phase", "Arm", "Median [ms]", "IQR [ms]", "Samples", "Images/s", ""]
    title = (
        "Times; noisy: the IQR is more than 10% of the median, unstable: more than 25%"
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
