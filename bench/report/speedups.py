"""The optimisation ladder in a report: what each idiom buys, and what it costs."""

from matplotlib.figure import Figure

from bench.judging.intervals import NO_DIFFERENCE, is_shown
from bench.records import IdiomRecord, IdiomsRecord, Results
from bench.report.blocks import Block, Plot, Table, Text
from bench.report.figures import COLORS, FAINT, render
from bench.report.numbers import DASH, fixed, percent, short, with_interval
from bench.report.times import states

SPEED = [
    *("Rung", "What changes", "Images/s", "Gain over the rung before"),
    *("Augmented, images/s", "Times the first rung's"),
]
WHOLE = [
    *("Rung", "Cold [s]", "Warm [s]", "Times as fast, cold", "Warm", "Test accuracy"),
    *("Against {}, points", "Verdict"),
]
STAGES = ("start", "import", "build", "features", "epochs")


def idioms(results: Results) -> list[Block]:
    """Tables and a plot for each arm."""
    record = results.idioms
    if not record:
        return []
    blocks: list[Block] = [
        Text(
            "Each rung is the same task, and differs from the one before as it says: "
            f"{record.epochs} epochs, seed {record.seed}. Seconds are those of one "
            "process from its start to the best checkpoint, each rung's run once; the "
            "gains with intervals come from the rounds. The gains of an arm are judged "
            "together, and so are its changes of accuracy. Warm takes images from the "
            f"decode cache; cold adds the {fixed(record.decoding_s, 1)} s that filling "
            "the cache took. The lowest rungs decode files in every epoch and know no "
            "difference. Images/s is measured on a share of the images, in fresh "
            "processes in shuffled order, features shared out among the epochs. On a "
            "GPU the lowest rungs have TF32 as their framework has it, the others none "
            "before the rung that names it [D22]."
        )
    ]
    for arm, rungs in record.arms.items():
        if rungs:
            blocks += _arm(arm, rungs, record)
    if record.before and record.after:
        blocks.append(states(record.before, record.after))
    return blocks


def _arm(arm: str, rungs: list[IdiomRecord], record: IdiomsRecord) -> list[Block]:
    found: list[Block] = [
        Table(
            f"{arm}: speed", "llrrrr", SPEED, [_speed(rung, rungs[0]) for rung in rungs]
        ),
        Table(
            f"{arm}: whole trainings",
            "lrrrrrrl",
            [title.format(record.compared_with) for title in WHOLE],
            [_whole(rung, rungs[0], record.decoding_s) for rung in rungs],
        ),
        _plot(arm, rungs),
    ]
    if floor := record.floor_s.get(arm):
        fastest = record.shortest(arm)
        took = (f"{s} {fastest.stages[s]:.1f} s" for s in STAGES if s in fastest.stages)
        found.append(
            Text(
                f"Floor of {arm}: {floor:.1f} s to start, build the model and take one "
                f"pass over the images at onnxruntime's rate; the fastest rung takes "
                f"{fastest.seconds / floor:.1f} times that: {', '.join(took)}."
            )
        )
    return found


def _speed(rung: IdiomRecord, first: IdiomRecord) -> list[str]:
    rate, moved = (
        fixed(one.images_per_second, 0) if one else DASH
        for one in (rung.epoch, rung.augmented)
    )
    gain = times = DASH
    if rung.augmented and first.augmented:
        times = short(first.augmented.median_ms / rung.augmented.median_ms)
    if rung.gain:
        low, high = map(short, rung.gain.interval)
        gain = f"{short(rung.gain.ratio)} ({low} to {high})"
    return [rung.name, rung.what, rate, gain, moved, times]


def _whole(rung: IdiomRecord, first: IdiomRecord, decoding_s: float) -> list[str]:
    cold = rung.seconds + (decoding_s if rung.reads_cache else 0)
    same = rung is first
    verdict = "shown" if is_shown(rung.difference_interval) else NO_DIFFERENCE
    return [
        rung.name,
        fixed(cold, 1),
        fixed(rung.seconds, 1),
        short(first.seconds / cold),
        short(first.seconds / rung.seconds),
        percent(rung.test_accuracy),
        DASH if same else with_interval(rung.difference, rung.difference_interval),
        DASH if same else verdict,
    ]


def _plot(arm: str, rungs: list[IdiomRecord]) -> Plot:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xlabel="seconds")
        left = [0.0] * len(rungs)
        shades = [*COLORS, FAINT] * 2
        for stage, color in zip(STAGES, shades, strict=False):
            widths = [rung.stages.get(stage, 0.0) for rung in rungs]
            axes.barh(range(len(rungs)), widths, left=left, color=color, label=stage)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(rungs)), [rung.name for rung in rungs])
        axes.invert_yaxis()
        axes.grid(axis="x")
        figure.legend(loc="outside upper center", ncols=len(STAGES))

    caption = f"{arm}: seconds of each stage of a whole training, by rung."
    size = (7, 1 + 0.3 * len(rungs))
    return Plot(render(draw, f"idioms-{arm}", caption, size), caption)
