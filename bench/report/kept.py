"""Write docs/results.md from the kept reports: `python -m bench.report.kept`."""

from dataclasses import dataclass
from pathlib import Path

from bench.records import Results, read_results
from bench.report import (
    escape_markdown,
    make_environment,
    outcome,
    scaling,
    speedups,
    times,
)
from bench.report.blocks import Block
from shared.files import write_atomically

PROJECT = Path(__file__).parents[2]
SAMPLES = PROJECT / "reports" / "samples"
PAGE = PROJECT / "docs" / "results.md"


@dataclass(frozen=True)
class Chapter:
    """One kept report on the page."""

    title: str
    what: str
    folder: str
    blocks: list[Block]
    machine: str
    date: str
    commit: str


def render_page() -> str:
    """Return the page that the kept reports make."""
    chapters = [
        _make(
            "Speed-ups of PyTorch",
            "What each change of the program buys, from the program as it is usually "
            "written to the fastest one that was found.",
            "speedups-pytorch-2-cores",
            speedups.speedups,
        ),
        _make(
            "Speed-ups of Keras",
            "The same for Keras on TensorFlow.",
            "speedups-keras-2-cores",
            speedups.speedups,
        ),
        _make(
            "Each arm against itself",
            "How large a ratio this machine makes of no difference at all.",
            "control-2-cores",
            lambda results: times.control(results)[-2:],  # what is said, and the ratios
        ),
        _make(
            "More images",
            "How time and memory grow, up to ten times the images.",
            "scaling-2-cores",
            scaling.scaling,
        ),
        _make(
            "Four arms",
            "The same Keras code on three backends, beside PyTorch.",
            "timing-2-cores",
            outcome.findings,
        ),
        _make(
            "The two plain programs",
            "Each program as its framework's guide has it; they differ by design.",
            "plain-2-cores",
            outcome.findings,
        ),
    ]
    environment = make_environment(finalize=escape_markdown)
    return environment.get_template("results.md.j2").render(
        chapters=chapters, document="differences.md"
    )


def _make(title: str, what: str, folder: str, make_blocks) -> Chapter:
    results: Results = read_results(SAMPLES / folder / "results.json")
    machine = results.environment
    return Chapter(
        title=title,
        what=what,
        folder=folder,
        blocks=make_blocks(results),
        machine=f"{machine.cpu}, {machine.cpu_count} cores",
        date=results.run.started_at[:10],
        commit=(machine.commit or "")[:10],
    )


def main() -> None:
    """Write the page."""
    write_atomically(PAGE, render_page())
    print(f"Written: {PAGE}")


if __name__ == "__main__":
    main()
