"""Run experiments: train their cells on both arms, and keep each finished cell."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.judging.experiments import MARGIN, count_differing, judge_settings
from bench.processes.arms import PAIR
from bench.processes.request import Cell, DoTasks, Task, TrainCells
from bench.processes.worker_process import (
    ENVIRONMENT,
    ArmFailed,
    share_cores,
    stopping,
    together,
)
from bench.records import (
    CellRecord,
    DifferingCell,
    ExperimentRecord,
    ExperimentsRecord,
    SettingRecord,
)
from bench.run.environment import describe_environment
from bench.run.experiment import Experiment, Setting
from bench.run.journal import Journal
from bench.run.state import Run, start_worker, work
from shared.clock import now
from shared.config import Config

SIDE_BY_SIDE = ENVIRONMENT | share_cores(len(PAIR))


def run_experiments(run: Run, journal: Journal) -> None:
    """Train the cells that the journal lacks on every arm, and judge the experiments.

    What is finished is in the run's record even if an arm fails or the user stops.
    """
    cells = list_cells(run.options.experiments, run.options.config)
    todo = {arm: _unfinished(arm, cells, journal) for arm in run.options.arms}
    keeper = _Keeper(run, journal, sum(map(len, todo.values())))
    try:
        together(*(partial(_train_arm, keeper, arm, todo[arm]) for arm in todo))
    finally:
        run.experiments = make_record(run, journal.parts)
    for cell in run.experiments.cells:
        if cell.status != "ok":
            run.miss(f"{cell.arm}, {_describe(cell)}, seed {cell.seed}: {cell.status}")


def _unfinished(arm: str, cells: list[Cell], journal: Journal) -> list[Cell]:
    return [cell for cell in cells if _part_name(arm, cell) not in journal.parts]


def list_cells(experiments: Mapping[str, Experiment], config: Config) -> list[Cell]:
    """Return the cells of all experiments; those that they share come only once."""
    cells = {}
    for experiment in experiments.values():
        for seed in range(experiment.seeds):
            for setting in experiment.settings.values():
                changes = _changes(experiment, setting, config)
                name = json.dumps([changes, setting.share, seed], sort_keys=True)
                cells[name] = Cell(
                    name=name, changes=changes, share=setting.share, seed=seed
                )
    return list(cells.values())


def _changes(experiment: Experiment, setting: Setting, config: Config) -> dict:
    """Return what really changes, so that equal settings are seen to be equal."""
    changes = {"epochs": experiment.epochs, **setting.changes}
    return {n: value for n, value in changes.items() if getattr(config, n) != value}


def _part_name(arm: str, cell: Cell) -> str:
    return f"{arm} {cell.name}"


def _describe(cell: CellRecord) -> str:
    changes = [f"{name} {value}" for name, value in cell.changes.items()]
    if cell.share < 1:
        changes.append(f"{cell.share:.0%} of the training images")
    return ", ".join(changes) or "the base"


class _Keeper:
    """Keeps each cell as it is finished, and shows the time that is left."""

    def __init__(self, run: Run, journal: Journal, total: int) -> None:
        self.run = run
        self.journal = journal
        self._total = total
        self._done = 0
        self._start = now()

    def keep(self, arm: str, cell: Cell, part: dict) -> None:
        self.journal.keep(_part_name(arm, cell), part)
        record = CellRecord.model_validate(part["record"])
        self._done += 1
        left = (now() - self._start) / self._done * (self._total - self._done)
        result = f"test {record.best.test:.3f}" if record.best else record.status
        self.run.display.say(
            f"{self._done} of {self._total}, {left / 60:.1f} min left; {arm}: "
            f"{_describe(record)}, seed {record.seed}: {result}"
        )
        self.run.display.show("training", self._done, self._total)


def _train_arm(keeper: _Keeper, arm: str, cells: list[Cell]) -> None:
    """Train cells on one arm. If a process breaks down, another one goes on."""
    if not cells:
        return
    run, by_name = keeper.run, {cell.name: cell for cell in cells}
    features = _compute_features(run, arm)

    def on_event(event: dict) -> None:
        if event["event"] == "cell":
            keeper.keep(arm, by_name[event["name"]], event["part"])
        elif event["event"] == "stderr":
            run.display.on_event(arm, event)

    while cells:
        request = TrainCells(
            arm=arm,
            config=run.options.config,
            scratch=run.scratch / f"{arm}-cells",
            inputs=run.inputs,
            cells=cells,
            features=features,
        )
        try:
            with start_worker(run, SIDE_BY_SIDE) as process:
                process.do(request, on_event, run.options.time_limit_s)
        except ArmFailed as reason:
            if stopping.is_set():
                raise
            failed = _unfinished(arm, cells, keeper.journal)[0]
            record = CellRecord(
                arm=arm,
                changes=failed.changes,
                share=failed.share,
                seed=failed.seed,
                status=f"failed: {reason}",
            )
            keeper.keep(arm, failed, {"record": record.model_dump()})
        cells = _unfinished(arm, cells, keeper.journal)


def _compute_features(run: Run, arm: str) -> Path:
    """Compute the features of all images once, and return their file."""
    request = DoTasks(
        job="compute_features",
        arm=arm,
        config=run.options.config,
        scratch=run.scratch / f"{arm}-features",
        inputs=run.inputs,
        tasks=[Task(name="matched")],
    )
    return Path(work(run, request, SIDE_BY_SIDE)["paths"]["matched"])


def make_record(run: Run, parts: Mapping[str, Any]) -> ExperimentsRecord:
    """Return the record of the finished cells, with the verdicts."""
    options = run.options
    cells = list_cells(options.experiments, options.config)
    names = [_part_name(arm, cell) for cell in cells for arm in options.arms]
    pairs = list(_pairs(parts, cells))
    record = ExperimentsRecord(
        quick=options.quick,
        seeds={name: one.seeds for name, one in options.experiments.items()},
        margin=MARGIN,
        experiments={},
        cells=[parts[name]["record"] for name in names if name in parts],
        pairs=len(pairs),
        differing=[one for one in pairs if one.images],
    )
    for name, experiment in options.experiments.items():
        found = _experiment_record(experiment, options.config)
        record.experiments[name] = found
        if not options.quick:
            of_settings = [record.find(s, experiment.seeds) for s in found.settings]
            judge_settings(found, of_settings)
    return record


def _experiment_record(experiment: Experiment, config: Config) -> ExperimentRecord:
    settings = [
        SettingRecord(
            name=name, changes=_changes(experiment, one, config), share=one.share
        )
        for name, one in experiment.settings.items()
    ]
    return ExperimentRecord(
        question=experiment.question, epochs=experiment.epochs, settings=settings
    )


def _pairs(parts: Mapping[str, Any], cells: list[Cell]) -> Iterator[DifferingCell]:
    """Compare the two arms in every cell that both have finished."""
    for cell in cells:
        twins = [parts.get(_part_name(arm, cell), {}) for arm in PAIR]
        if all("predictions" in twin for twin in twins):
            yield DifferingCell(
                changes=cell.changes,
                share=cell.share,
                seed=cell.seed,
                images=count_differing(*twins),
            )


def describe_inputs(run: Run) -> dict[str, Any]:
    """Return what a run that is resumed must have in common with its beginning."""
    machine = describe_environment({})
    return {
        "data": run.data.fingerprint,
        "weights": run.weights.fingerprint,
        "configuration": run.options.config.model_dump(),
        "quick": run.options.quick,
        "packages": machine.packages,
        "processor": machine.cpu,
        "commit": machine.commit,
    }
