"""Write docs/experiments.md from the kept reports of experiments."""

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup

from bench.judging.experiments import MARGIN
from bench.records import Results, read_results
from bench.report import escape_markdown, make_environment
from bench.report.blocks import Block, Plot, Text
from bench.report.conclusions import conclude
from bench.report.experiments import make_blocks
from bench.report.words import shown_by
from shared.files import write_atomically

FOLDERS = ("experiments-2-cores", "batch-norm-2-cores", "divisions-2-cores")


def write_experiments(samples: Path, folder: Path) -> None:
    """Write experiments.md into a folder, and its pictures into `pictures` there."""
    reports, summaries = [], {}
    for name in FOLDERS:
        results = read_results(samples / name / "results.json")
        sections = dict(_sections(results, folder / "pictures"))
        reports.append((results, name, sections))
        record = results.experiments
        for experiment, one in record.experiments.items():
            summaries[experiment] = conclude(experiment, one, record)[0]
    template = make_environment(finalize=escape_markdown).get_template(
        "experiments.md.j2"
    )
    page = template.render(
        reports=reports,
        shown_by=shown_by,
        summaries=summaries,
        margin=f"{100 * MARGIN:g}",
        document="differences.md",
    )
    write_atomically(folder / "experiments.md", page)


def _sections(results: Results, pictures: Path) -> Iterator[tuple[str, list[Block]]]:
    record = results.experiments
    for name, experiment in record.experiments.items():
        picture = pictures / f"experiment-{name}.svg"
        blocks = make_blocks(name, experiment, record)
        yield name, [link_plot(block, picture) for block in blocks]


def link_plot(block: Block, picture: Path) -> Block:
    """Write a plot into a file and return a link to it; return other blocks as is."""
    if not isinstance(block, Plot):
        return block
    picture.parent.mkdir(exist_ok=True)
    write_atomically(picture, f"{block.svg}")
    link = f"![{block.caption}](pictures/{picture.name})"
    return Text(Markup(f"{link}\n\n*{block.caption}*"))
