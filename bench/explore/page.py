"""Make the pages of an exploration from what it has found."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.explore import data_sections, run_sections
from bench.explore.calibration import calibration
from bench.explore.counts import class_counts
from bench.explore.findings import Findings
from bench.report import write_page
from bench.report.blocks import Block, Section
from bench.report.opening import Claim, Opening
from bench.report.outcome import confusions

DATA_SECTIONS: dict[str, Callable[[Findings], list[Block]]] = {
    "Classes and splits": lambda found: class_counts(found.data),
    "Images of each class": data_sections.contact_sheets,
    "Images that look alike": data_sections.alike,
    "Augmentation": data_sections.augmentation,
    "ImageNet guesses": data_sections.guesses,
}
RUN_SECTIONS: dict[str, Callable[[Findings], list[Block]]] = {
    "Confusion matrices": lambda found: confusions(found.run.results),
    "Calibration": lambda found: calibration(found.run.logits, found.data),
    "Highest losses": run_sections.highest_losses,
    "Grad-CAM": run_sections.explanations,
}


def write_pages(found: Findings, folder: Path) -> tuple[Path, Path]:
    """Write `explore.md` and `explore.html` into a folder, and return their paths."""
    sections = DATA_SECTIONS | (RUN_SECTIONS if found.run else {})
    made = [Section(title, make(found)) for title, make in sections.items()]
    return write_page(
        folder,
        "explore",
        title=f"A look at {found.data.name}",
        headline=_headline(found),
        opening=Opening(Claim("open", _opening(found)), None, {}, []),
        banners=_banners(found),
        sections=[section for section in made if section.blocks],
    )


def _headline(found: Findings) -> dict[str, str]:
    splits = found.data.splits.items()
    counts = ", ".join(f"{len(split.labels):,} {name}" for name, split in splits)
    facts = {
        "Images": counts,
        "Classes": str(len(found.data.classes)),
        "Weights": found.weights.source,
        "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }
    if found.run:
        record = found.run.results.run
        facts["Run"] = f"{record.command}, of {record.started_at[:10]}"
    return facts


def _opening(found: Findings) -> str:
    """Return the main facts about the data set in a few sentences."""
    data = found.data
    total = sum(len(split.labels) for split in data.splits.values())
    sizes = np.bincount(
        np.concatenate([split.labels for split in data.splits.values()])
    )
    small, large = int(sizes.argmin()), int(sizes.argmax())
    said = (
        f"{total:,} images in {len(data.classes)} classes, from {sizes[small]:,} "
        f"({data.classes[small]}) to {sizes[large]:,} ({data.classes[large]}). "
        f"{data_sections.count_alike(found.duplicates)}"
    )
    if found.run:
        said += f" {run_sections.summarise(found.run)}"
    return said


def _banners(found: Findings) -> list[str]:
    notices = [found.data.notice, found.weights.notice]
    if found.data.source == "synthetic":
        notices.insert(0, "These are drawn images, not photos.")
    if skipped := len(found.data.skipped):
        notices.append(f"Bad images left out: {skipped}.")
    return [notice for notice in notices if notice]
