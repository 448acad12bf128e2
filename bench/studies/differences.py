"""Measure the numerical size of every difference, and its effect on accuracy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.processes.agreed import SEEDS
from bench.processes.arms import PAIR
from bench.processes.request import DoTasks, ProbeDifferences, Task
from bench.processes.worker_process import (
    ENVIRONMENT,
    HIDDEN,
    share_cores,
    together,
)
from bench.records import DifferenceRecord, LedgerRecord, ProbeRecord, SeedScores
from bench.run.state import Run, work
from bench.studies.ablations import ABLATIONS, Ablation, AblationScores, judge
from bench.studies.difference_sizes import PROBES, measure
from shared.data.folders import link_images
from shared.errors import UserError
from shared.model.weights import Arrays

Features = tuple[str, str]  # arm, and "matched", "augmented" or a number such as "D02"
SIDE_BY_SIDE = ENVIRONMENT | share_cores(len(PAIR))
ON_GPU = ("D19", "D22")  # where an array lies, and TF32
CHANGED_SPLITS = {
    "augmentation": ("train",),
    "evaluation": ("validation", "test"),
}


@dataclass(frozen=True)
class HeadRun:
    """Training of one head with every seed. Equal runs are made only once."""

    arm: str  # the side that trains
    features: Features | None  # None: the run trains on images
    switch: str | None = None
    changes: tuple[tuple[str, object], ...] = ()

    @property
    def source(self) -> str:
        """Return the arm that computes the features or trains on images."""
        return self.features[0] if self.features else self.arm

    @property
    def name(self) -> str:
        """Return a unique name of the run for the progress display."""
        changed = [f"{name}={value}" for name, value in self.changes]
        source = " ".join(self.features) if self.features else "images"
        return ", ".join([source, *([self.switch] if self.switch else []), *changed])


def check_numbers(numbers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the differences to measure: the named ones, or all if none is named.

    Raises:
        UserError: a number is not in the ledger.
    """
    unknown = [number for number in numbers if number not in PROBES]
    if unknown:
        raise UserError(
            f"differences: {unknown[0]} is not in the ledger. It has "
            f"{', '.join(PROBES)}. They are explained in docs/differences.md."
        )
    return numbers or tuple(PROBES)


def keep_ledger(run: Run) -> LedgerRecord:
    """Probe the differences that the run names, and ablate those with an ablation."""
    numbers = run.options.differences
    run.folders = link_images(run.data, run.scratch / "images")
    probes = _probe(run, numbers)
    ablated = {number: ABLATIONS[number] for number in numbers if number in ABLATIONS}
    runs = {number: make_runs(number, one) for number, one in ablated.items()}
    epochs = _train(run, {one for pair in runs.values() for one in pair})
    scores = {}
    for number, one in ablated.items():
        base, changed = (epochs[head_run] for head_run in runs[number])
        by_loss = one.kind == "choice"
        scores[number] = AblationScores(one, choose(base), choose(changed, by_loss))
    judged = judge(scores)
    found = {
        number: DifferenceRecord(probe=probes[number], ablation=judged.get(number))
        for number in numbers
    }
    return LedgerRecord(seeds=list(SEEDS), differences=found)


def make_runs(number: str, ablation: Ablation) -> tuple[HeadRun, HeadRun]:
    """Return the matched run of an ablation, and its run with the difference."""
    arm, base = ablation.arm, tuple(ablation.base.items())
    matched = HeadRun("pytorch", (arm, "matched"), None, base)
    if ablation.kind == "head":
        matched = HeadRun(arm, (arm, "matched"), None, base)
        if ablation.changes:
            changes = tuple(ablation.changes.items())
            return matched, HeadRun(arm, (arm, "matched"), None, changes)
        return matched, HeadRun(arm, (arm, "matched"), number, base)
    if ablation.kind == "choice":
        return matched, matched
    if ablation.kind == "drift":
        return matched, HeadRun(arm, None, number, base)
    if ablation.kind == "arms":
        pytorch = HeadRun("pytorch", ("pytorch", "matched"), number)
        return pytorch, HeadRun("keras", ("keras", "matched"), number)
    if ablation.kind == "augmentation":
        matched = HeadRun("pytorch", (arm, "augmented"), None, base)
    return matched, HeadRun("pytorch", (arm, number), None, base)


def choose(seeds: list[list[dict]], by_loss: bool = False) -> list[SeedScores]:
    """Return the scores of the epoch that each seed keeps.

    This is the first epoch with the highest validation accuracy.

    Args:
        seeds: validation and test accuracy and validation loss, by seed and epoch.
        by_loss: keep the epoch with the lowest validation loss instead. [D15]
    """

    def rank(epoch: dict) -> float:
        return -epoch["loss"] if by_loss else epoch["validation"]

    kept = [max(epochs, key=rank) for epochs in seeds]
    return [
        SeedScores(seed=seed, validation=epoch["validation"], test=epoch["test"])
        for seed, epoch in zip(SEEDS, kept, strict=True)
    ]


def _on_both(call: Callable[[str], Any]) -> dict[str, Any]:
    """Call a function for both arms at the same time, and return the results by arm."""
    found = together(*(partial(call, arm) for arm in PAIR))
    return dict(zip(PAIR, found, strict=True))


def _probe(run: Run, numbers: tuple[str, ...]) -> dict[str, ProbeRecord]:
    """Measure the differences, on the CPU but for those that exist only on a GPU.

    A probe of PyTorch computes on the CPU unless it says otherwise, and Keras's would
    take the GPU by itself.
    """
    on_gpu = [number for number in numbers if number in ON_GPU and run.device.gpu]
    on_cpu = [number for number in numbers if number not in on_gpu]

    def probe(arm: str) -> Arrays:
        found: Arrays = {}
        for device, some in {"cpu": on_cpu, "cuda": on_gpu}.items():
            if not some:
                continue
            request = ProbeDifferences(
                arm=arm,
                # Fewer digits would hide the small differences.
                config=run.options.config.model_copy(
                    update={"device": device, "precision": "float32", "tf32": False}
                ),
                scratch=run.scratch / f"{arm}-probes-{device}",
                inputs=run.inputs,
                differences=tuple(some),
            )
            hidden = HIDDEN if device == "cpu" else {}
            done = work(run, request, SIDE_BY_SIDE | hidden)
            found |= dict(np.load(done["path"]))
        return found

    return measure(_on_both(probe), numbers)


def _train(run: Run, runs: set[HeadRun]) -> dict[HeadRun, list]:
    """Return the epochs of every run by seed. The features are computed only once."""
    needed = {one.features for one in runs if one.features}

    def work_from(source: str) -> dict[HeadRun, list]:
        """Compute the features of one side, then train every head on them."""
        paths = _compute(run, source, needed)
        found: dict[HeadRun, list] = {}
        for arm in PAIR:
            own = [one for one in runs if (one.arm, one.source) == (arm, source)]
            found |= _train_heads(run, arm, own, paths, run.scratch / f"from-{source}")
        return found

    return {
        one: epochs
        for found in _on_both(work_from).values()
        for one, epochs in found.items()
    }


def _train_heads(
    run: Run, arm: str, runs: list[HeadRun], paths: dict[str, Path], scratch: Path
) -> dict[HeadRun, list]:
    tasks = [
        Task(
            name=one.name,
            switch=one.switch,
            changes=dict(one.changes),
            features=one.features and paths[one.features[1]],
        )
        for one in sorted(runs, key=lambda one: one.name)
    ]
    if not tasks:
        return {}
    done = _do_tasks(run, "train_heads", arm, scratch / arm, tasks)
    return {one: done["runs"][one.name] for one in runs}


def _compute(run: Run, arm: str, needed: set[Features]) -> dict[str, Path]:
    """Compute the features of one side by name, the matched features first."""
    own = sorted({name for side, name in needed if side == arm} - {"matched"})
    if not any(side == arm for side, _ in needed):
        return {}
    tasks = [_feature_task(name) for name in ["matched", *own]]
    scratch = run.scratch / f"{arm}-features"
    return _do_tasks(run, "compute_features", arm, scratch, tasks)["paths"]


def _do_tasks(
    run: Run,
    job: Literal["compute_features", "train_heads"],
    arm: str,
    scratch: Path,
    tasks: list[Task],
) -> dict:
    request = DoTasks(
        job=job,
        arm=arm,
        config=run.options.config,
        scratch=scratch,
        inputs=run.inputs,
        tasks=tasks,
    )
    return work(run, request, SIDE_BY_SIDE)


def _feature_task(name: str) -> Task:
    if name == "matched":
        return Task(name=name)
    if name == "augmented":
        return Task(name=name, splits=("train",), changes={"augment": True})
    kind = ABLATIONS[name].kind
    if kind == "pixels":
        return Task(name=name, reader=name)
    return Task(
        name=name,
        switch=name,
        changes={"augment": True} if kind == "augmentation" else {},
        folded=kind != "evaluation",  # folded batch norm would not need eval()
        splits=CHANGED_SPLITS.get(kind, ("train", "validation", "test")),
    )
