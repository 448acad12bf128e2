"""Write docs/results.md and docs/experiments.md: `python -m bench.report.kept`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.judging.intervals import is_shown
from bench.records import Interval, Results, VersionRecord, read_results
from bench.report import (
    escape_markdown,
    ledger,
    make_environment,
    outcome,
    scaling,
    speedups,
)
from bench.report.blocks import Block, Plot, Table, Text
from bench.report.kept_experiments import link_plot, write_experiments
from bench.report.numbers import DASH, fixed, percent, short, with_interval
from bench.report.opening import make_opening
from bench.report.parity import rung_cells
from bench.report.words import by_design, difference, shown_by, time_ratios
from shared.files import write_atomically

PROJECT = Path(__file__).parents[2]
SAMPLES = PROJECT / "reports" / "samples"
DOCS = PROJECT / "docs"

PHASES = {
    "first_step": "first training step of a process",
    "train_step": "later training steps",
    "forward": "forward pass of a batch",
    "epoch": "epoch on a share of the images, with validation",
    "checkpoint": "writing a checkpoint",
    "export": "exporting to ONNX",
    "onnx_batch_32": "the exported graph in onnxruntime, 32 images",
}
# Facts about a run that its record does not contain, by the commit of the run. A
# report that is made again at another commit needs no note.
NOTES = {
    "824e51903e": "At that commit, the plain PyTorch program did not freeze batch norm "
    "yet; [D01](differences.md#d01-frozen-batch-norm) shows what this costs. Start-up "
    "times were taken while the other program ran too.",
    "e3167f290f": "At that commit, dropout had no plan yet. The first two versions did "
    "not freeze batch norm, which costs them accuracy "
    "([D01](differences.md#d01-frozen-batch-norm)), and loaded their images in the "
    "training process. The plain program of today freezes it, and loads images in "
    "several worker processes.",
    "a9c7c6b571": "At that commit, dropout had no plan yet.",
    "c098a19013": "At that commit, start-up times were taken while another process "
    "ran too.",
    "d03e062b0c": "At that commit, dropout had no plan yet.",
    "75e8610bfa": "At that commit, each ratio was judged alone. All training steps of "
    "this report are on whole images, and start-up times were taken while another "
    "process ran too.",
}


def _matched(results: Results) -> list[Block]:
    rungs = [rung_cells(rung) for rung in results.parity.rungs]
    rows = [
        [name, compared, found, limit] for name, compared, _, found, limit, _ in rungs
    ]
    return [
        Text(
            "The range beside an accuracy is its 95% interval. Training time is the "
            "time from decoded images to the best checkpoint, and was measured once. "
            "Step times are medians, with the range of the middle half of the samples. "
            "This run computes the features of the frozen backbone once, and a "
            "training step works on these features. A step on full images passes "
            "through the whole network. ONNX parity is the largest difference between "
            "the logits of the exported file and those of the framework, as a share of "
            "the largest logit."
        ),
        _cards(results),
        Text(make_opening(results).claim.text),
        Text(
            "The second table has every rung of the parity ladder, from equal pixels "
            "to equal classifiers. A difference is the largest difference between two "
            "values, as a share of the largest value. “By norm” means that whole "
            "arrays are compared instead. In float32 the two frameworks round "
            "differently. In float64 the same code agrees to the last digits. This "
            "shows that the differences in float32 are rounding alone."
        ),
        Table("", "llrr", ["Rung", "Compared", "Difference", "Limit"], rows),
    ]


def _plain(results: Results) -> list[Block]:
    found = results.comparison
    lead = (
        f"{by_design(results)[0]} A training step of these programs passes through "
        "the whole network."
    )
    verdict = f"{difference(found)} Verdict: {found.verdict}."
    _, *reasons = outcome.findings(results)
    return [Text(lead), _cards(results), Text(verdict), *reasons]


def _cards(results: Results) -> Table:
    """Return the cards of the report's first page as a table."""
    rows = [[card.title, *card.cells()] for card in make_opening(results).cards]
    return Table("", "l" + "r" * len(results.arms), ["", *results.arms], rows)


def _ledger(results: Results) -> list[Block]:
    return [Text(shown_by(results)[0]), *_plots(ledger.ledger(results))]


def _speedups(results: Results) -> list[Block]:
    record = results.speedups
    ((arm, versions),) = record.arms.items()
    header = [
        "Version, and what it changes",
        "Whole training [s]",
        "Speed-up over the first version",
        "Speed-up of an epoch over the previous version",
        "Test accuracy",
        "Change from the previous version, points",
        "With augmentation [images/s]",
    ]
    return [
        Text(
            f"{shown_by(results)[0]} Each training was run once. If the decode "
            f"cache is still empty, filling it takes {fixed(record.decoding_s, 1)} s "
            "more. For comparison, starting Python, loading the framework, building "
            "the model and passing all images through onnxruntime once would take "
            f"{fixed(record.floor_s[arm], 1)} s."
        ),
        Table("", "lrrrrrr", header, [_version(one, versions[0]) for one in versions]),
        *_plots(speedups.speedups(results)),
    ]


def _version(version: VersionRecord, first: VersionRecord) -> list[str]:
    gain, change, moved = version.gain, DASH, version.augmented
    if version is not first:
        change = with_interval(version.difference, version.difference_interval)
        if is_shown(version.difference_interval):
            change += ", shown"
    return [
        f"{version.name}: {version.what}",
        fixed(version.seconds, 1),
        short(first.seconds / version.seconds),
        _ratio(gain.ratio, gain.interval) if gain else DASH,
        percent(version.test_accuracy),
        change,
        fixed(moved.images_per_second, 0) if moved else DASH,
    ]


def _control(results: Results) -> list[Block]:
    arms = results.timing.control.arms
    found = [one for ratios in arms.values() for one in ratios.values()]
    out = sum(is_shown(one.interval, equal=1) for one in found)
    rows = [
        [what, *(_ratio(one[name].ratio, one[name].interval) for one in arms.values())]
        for name, what in PHASES.items()
    ]
    return [
        Text(
            f"{len(found)} ratios were measured, and {out} of their intervals exclude "
            "1. If an interval is wide, this machine can show only large differences "
            "between two arms. The table has the phases that matter most in the other "
            "comparisons."
        ),
        Table("", "l" + "r" * len(arms), ["", *arms], rows),
    ]


def _backends(results: Results) -> list[Block]:
    arms, ratios = results.arms, time_ratios(results)
    first, *others = arms
    times = [
        [what, *(f"{short(arm.timing[name].median_ms)} ms" for arm in arms.values())]
        for name, what in PHASES.items()
    ]
    longer = []
    for name, what in PHASES.items():
        found = [of_pair[name] for of_pair in ratios.values()]  # first / other
        turned = [(1 / one.interval[1], 1 / one.interval[0]) for one in found]
        cells = [_ratio(1 / f.ratio, t) for f, t in zip(found, turned, strict=True)]
        longer.append([what, *cells])
    title = f"Time relative to {first}, with the interval of the ratio"
    return [
        Table("Medians", "l" + "r" * len(arms), ["", *arms], times),
        Table(title, "l" + "r" * len(others), ["", *others], longer),
    ]


def _ratio(ratio: float, interval: Interval) -> str:
    return f"{short(ratio)} ({' to '.join(map(short, interval))})"


def _plots(blocks: list[Block]) -> list[Block]:
    return [block for block in blocks if isinstance(block, Plot)]


@dataclass(frozen=True)
class Chapter:
    """A kept report on the page, and the blocks shown of it; `lead` is Markdown."""

    title: str
    folder: str
    make_blocks: Callable[[Results], list[Block]]
    lead: str


CHAPTERS = (
    Chapter(
        "The same program twice",
        "clothing-2-cores",
        _matched,
        "This is the report of `python -m bench all` on the clothing photos. This "
        "command trains, compares, times and exports the two matched programs.",
    ),
    Chapter(
        "The two plain programs",
        "plain-2-cores",
        _plain,
        "Here each program is written as the guide of its framework recommends.",
    ),
    Chapter(
        "What each difference does to accuracy",
        "differences-2-cores",
        _ledger,
        "The matched program was trained with one entry of [the ledger]"
        "(differences.md) left in at a time, over several seeds. The ledger has a "
        "table of [the ten largest effects]"
        "(differences.md#the-ten-differences-with-the-largest-effect).",
    ),
    Chapter(
        "Speed-ups of PyTorch",
        "speedups-pytorch-2-cores",
        _speedups,
        "The first version is the program as it is usually written. Each further "
        "version has one speed-up more. A whole training goes from the start of the "
        "process to the best checkpoint.",
    ),
    Chapter(
        "Speed-ups of Keras",
        "speedups-keras-2-cores",
        _speedups,
        "This is the same measurement for Keras on TensorFlow.",
    ),
    Chapter(
        "Each arm against itself",
        "control-2-cores",
        _control,
        "Each arm was timed twice, as if it were two arms, through the same rounds and "
        "the same statistics. Every ratio should be 1.",
    ),
    Chapter(
        "More images",
        "scaling-2-cores",
        scaling.scaling,
        "How do time and memory grow with the number of images?",
    ),
    Chapter(
        "Keras on three backends",
        "timing-2-cores",
        _backends,
        "The same Keras code ran on TensorFlow (`keras`), on JAX and on PyTorch, "
        "beside PyTorch itself. "
        "[D35](differences.md#d35-convolutions-on-kerass-other-backends) explains why "
        "the other two backends take so long on a CPU.",
    ),
)


def write_page(folder: Path = DOCS) -> None:
    """Write results.md into a folder, and its pictures into the folder `pictures`."""
    chapters = []
    for chapter in CHAPTERS:
        results = read_results(SAMPLES / chapter.folder / "results.json")
        picture = folder / "pictures" / f"{chapter.folder}.svg"
        blocks = [link_plot(one, picture) for one in chapter.make_blocks(results)]
        chapters.append((chapter, results, blocks))
    template = make_environment(finalize=escape_markdown).get_template("results.md.j2")
    page = template.render(chapters=chapters, notes=NOTES, document="differences.md")
    write_atomically(folder / "results.md", page)


if __name__ == "__main__":
    write_page()
    write_experiments(SAMPLES, DOCS)
    print(f"Written: {DOCS}/results.md and experiments.md, with their pictures.")
