"""The speed-ups in a report, with their gains and their effect on accuracy."""

from matplotlib.figure import Figure

from bench.judging.intervals import NO_DIFFERENCE, is_shown
from bench.records import Results, SpeedupsRecord, VersionRecord
from bench.report.blocks import Block, Plot, Table, Text
from bench.report.figures import COLORS, FAINT, render
from bench.report.numbers import DASH, fixed, percent, short, with_interval
from bench.report.times import states

SPEED = [
    "Version",
    "What changes",
    "Images/s",
    "Gain over the previous version",
    "Augmented, images/s",
    "Augmented, gain over the first version",
]
WHOLE = [
    "Version",
    "Cold [s]",
    "Warm [s]",
    "Speed-up, cold",
    "Speed-up, warm",
    "Test accuracy",
    "Change from the previous version, points",
    "Verdict",
]
STAGES = ("start", "import", "build", "features", "epochs")


def speedups(results: Results) -> list[Block]:
    """Return the tables and a plot for each arm."""
    record = results.speedups
    if not record:
        return []
    blocks: list[Block] = [
        Text(
            f"Each version does the same task ({record.epochs} epochs, seed "
            f"{record.seed}), and differs from the previous version as the column "
            "“What changes” says. The seconds are those of one process, from its "
            "start to the best checkpoint, and were measured once for each version. "
            "Warm means that the images come from the decode cache. Cold adds the "
            f"{fixed(record.decoding_s, 1)} s that filling the cache took. The first "
            "versions decode the files in every epoch, so for them cold and warm are "
            "the same. Images/s is measured in several rounds on a share of the "
            "images, in fresh processes and in shuffled order. The time of computing "
            "the features once is divided among the epochs. The gains and their "
            "intervals come from these rounds. The gains of an arm are judged "
            "together, and so are its changes of accuracy. On a GPU, the first "
            "versions use TF32 by the default of their framework. The other versions "
            "do not use TF32, until a version turns it on [D22]."
        )
    ]
    for arm, versions in record.arms.items():
        if versions:
            blocks += _arm(arm, versions, record)
    if record.before and record.after:
        blocks.append(states(record.before, record.after))
    return blocks


def _arm(
    arm: str, versions: list[VersionRecord], record: SpeedupsRecord
) -> list[Block]:
    found: list[Block] = [
        Table(
            f"{arm}: speed",
            "llrrrr",
            SPEED,
            [_speed(version, versions[0]) for version in versions],
        ),
        Table(
            f"{arm}: whole trainings",
            "lrrrrrrl",
            WHOLE,
            [_whole(version, versions[0], record.decoding_s) for version in versions],
        ),
        _plot(arm, versions),
    ]
    if floor := record.floor_s.get(arm):
        fastest = record.shortest(arm)
        took = (f"{s} {fastest.stages[s]:.1f} s" for s in STAGES if s in fastest.stages)
        found.append(
            Text(
                f"The lower limit for {arm} is {floor:.1f} s. In this time it could "
                "start, build the model and pass all images once at the speed of "
                "onnxruntime. The fastest version takes "
                f"{fastest.seconds / floor:.1f} times as long: {', '.join(took)}."
            )
        )
    return found


def _speed(version: VersionRecord, first: VersionRecord) -> list[str]:
    rate, moved = (
        fixed(one.images_per_second, 0) if one else DASH
        for one in (version.epoch, version.augmented)
    )
    gain = times = DASH
    if version.augmented and first.augmented:
        times = short(first.augmented.median_ms / version.augmented.median_ms)
    if version.gain:
        low, high = map(short, version.gain.interval)
        gain = f"{short(version.gain.ratio)} ({low} to {high})"
    return [version.name, version.what, rate, gain, moved, times]


def _whole(
    version: VersionRecord, first: VersionRecord, decoding_s: float
) -> list[str]:
    cold = version.seconds + (decoding_s if version.reads_cache else 0)
    same = version is first
    verdict = "shown" if is_shown(version.difference_interval) else NO_DIFFERENCE
    return [
        version.name,
        fixed(cold, 1),
        fixed(version.seconds, 1),
        short(first.seconds / cold),
        short(first.seconds / version.seconds),
        percent(version.test_accuracy),
        DASH
        if same
        else with_interval(version.difference, version.difference_interval),
        DASH if same else verdict,
    ]


def _plot(arm: str, versions: list[VersionRecord]) -> Plot:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xlabel="seconds")
        left = [0.0] * len(versions)
        shades = [*COLORS, FAINT] * 2
        for stage, color in zip(STAGES, shades, strict=False):
            widths = [version.stages.get(stage, 0.0) for version in versions]
            axes.barh(range(len(versions)), widths, left=left, color=color, label=stage)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(versions)), [version.name for version in versions])
        axes.invert_yaxis()
        axes.grid(axis="x")
        figure.legend(loc="outside upper center", ncols=len(STAGES))

    caption = f"Time of each stage of a whole training, for each version of {arm}."
    size = (7, 1 + 0.3 * len(versions))
    return Plot(render(draw, f"versions-{arm}", caption, size), caption)
