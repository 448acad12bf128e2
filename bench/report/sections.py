"""The sections of a report in their order; a section without content is left out."""

from collections.abc import Callable
from datetime import datetime

from bench.records import Results
from bench.report import (
    cost,
    ledger,
    outcome,
    parity,
    provenance,
    scaling,
    speedups,
    times,
)
from bench.report.blocks import Block, Section
from bench.report.experiments import make_experiments

CONTENT: dict[str, Callable[[Results], list[Block]]] = {
    "Learning curves": outcome.curves,
    "Test photos": outcome.photos,
    "What this run shows": outcome.findings,
    "Parity ladder": parity.parity,
    "Difference ledger": ledger.ledger,
    "Accuracy": outcome.accuracy,
    "Confusion matrices": outcome.confusions,
    "Classes": outcome.classes,
    "Most confident mistakes": outcome.mistakes,
    "Timing": times.timing,
    "A/A control": times.control,
    "Speed-ups": speedups.speedups,
    "More images": scaling.scaling,
    "Stages and memory": cost.stages,
    "ONNX export": cost.onnx,
    "Checks": provenance.checks,
    "What was not run": provenance.gaps,
    "Data and weights": provenance.inputs,
    "Configuration and environment": provenance.settings,
    "How to reproduce": provenance.reproduction,
    "Words": provenance.glossary,
}


def make_sections(results: Results) -> list[Section]:
    made = [Section(title, make(results)) for title, make in CONTENT.items()]
    found = [section for section in made if section.blocks]
    return [*make_experiments(results), *found]


def headline(results: Results) -> dict[str, str]:
    """Return the facts about the run that stand at the top of a report."""
    machine = results.environment
    started = datetime.fromisoformat(results.run.started_at)
    devices = sorted({arm.device for arm in results.arms.values() if arm.device})
    return {
        "Data": results.data.name,
        "Weights": results.weights.source,
        "Machine": f"{machine.cpu}, {machine.cpu_count} cores",
        **({"Ran on": ", ".join(devices) or "nothing"} if results.arms else {}),
        "Date": f"{started:%Y-%m-%d %H:%M} UTC",
        "Division": results.division,
        "Status": results.status,
    }
