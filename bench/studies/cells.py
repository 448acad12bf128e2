"""Run experiments: train their cells on both arms, and keep each finished cell."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.judging.experiments import (
    MARGIN,
    count_differing,
    grows_from_rounding,
    judge_settings,
)
from bench.processes.agreed import is_on_features
from bench.processes.arms import PAIR
from bench.processes.request import Cell, DoTasks, Inputs, Task, TrainCells
from bench.processes.worker_process import (
    ArmFailed,
    Environment,
    environment_for_experiments,
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
from bench.run.state import Options, Run, start_worker, work
from bench.studies.estimates import store_training_s, work_of
from shared.config import Config
from shared.data.dataset import prepare
from shared.data.folders import link_images
from shared.data.subsets import shorten
from shared.metrics import max_scaled_diff

FEATURES = "features, "  # in front of the names of what is no cell


def run_experiments(run: Run, journal: Journal) -> None:
    """Train the cells that the journal lacks on every arm, and judge the experiments.

    What is finished is in the run's record even if an arm fails or the user stops.
    """
    options = run.options
    cells = list_cells(options.experiments, options.config)
    if any(is_plain(cell) for cell in cells):
        data = shorten(run.data) if options.quick else run.data
        run.folders = link_images(data, run.scratch / "images")
    todo = {arm: _unfinished(arm, cells, journal, options) for arm in options.arms}
    keeper = _Keeper(run, journal, todo)
    try:
        features = _store_features(run, journal, todo)
        together(
            *(partial(_train_arm, keeper, arm, todo[arm], features) for arm in todo)
        )
    finally:
        run.experiments = make_record(run, journal.parts)
    if not options.quick:
        keeper.store_pace()
    for cell in run.experiments.cells:
        if cell.status != "ok":
            run.miss(f"{cell.arm}, {_describe(cell)}, seed {cell.seed}: {cell.status}")


def arms_of(cell: Cell, arms: tuple[str, ...], config: Config) -> tuple[str, ...]:
    """Return the arms that train a cell.

    Both train it if it takes stored features, or if they may part. Otherwise they would
    pass all images in every epoch to get the same result, so they share out all seeds
    but one.
    """
    if cell.arm:
        return (cell.arm,) if cell.arm in arms else ()
    cached = is_on_features(changed_config(cell, config))
    if cached or may_part(cell) or cell.seed == 0:
        return arms
    return (arms[cell.seed % len(arms)],)


def work_of_busiest(experiment: Experiment) -> float:
    """Return the work of an experiment on the arm that has the most of it."""
    config, work = Config(), dict.fromkeys(PAIR, 0.0)
    for cell in list_cells({"": experiment}, config):
        for arm in arms_of(cell, PAIR, config):
            work[arm] += work_of(changed_config(cell, config))
    return max(work.values())


def may_part(cell: Cell) -> bool:
    """Return whether the two arms need not predict the same.

    The plain programs differ by design. If everything is trained, batch norm included,
    rounding grows with every step.
    """
    return is_plain(cell) or cell.changes.get("fine_tuning", "off") != "off"


def changed_config(cell: Cell, config: Config) -> Config:
    return config.model_copy(update=cell.changes)


def is_plain(cell: Cell) -> bool:
    return cell.changes.get("division") == "plain"


def _unfinished(
    arm: str, cells: list[Cell], journal: Journal, options: Options
) -> list[Cell]:
    return [
        cell
        for cell in cells
        if arm in arms_of(cell, options.arms, options.config)
        and _part_name(arm, cell) not in journal.parts
    ]


def list_cells(experiments: Mapping[str, Experiment], config: Config) -> list[Cell]:
    """Return the cells of all experiments; those that they share come only once."""
    cells = {}
    for experiment in experiments.values():
        for seed in range(experiment.seeds):
            for setting in experiment.settings.values():
                changes = _changes(experiment, setting, config)
                key = [changes, setting.share, setting.arm, seed]
                name = json.dumps(key, sort_keys=True)
                cells[name] = Cell(
                    name=name,
                    changes=changes,
                    share=setting.share,
                    arm=setting.arm,
                    seed=seed,
                )
    return list(cells.values())


def _changes(experiment: Experiment, setting: Setting, config: Config) -> dict:
    """Return what really changes, so that equal settings are seen to be equal."""
    changes = {"epochs": experiment.epochs, **setting.changes}
    return {n: value for n, value in changes.items() if getattr(config, n) != value}


def _part_name(arm: str, cell: Cell) -> str:
    return f"{arm} {cell.name}"


def leave_out_failed(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an earlier run without the trainings that failed.

    A run that goes on tries them again.
    """
    return {
        name: part
        for name, part in parts.items()
        if name.startswith(FEATURES) or part["record"]["status"] == "ok"
    }


def _describe(cell: CellRecord) -> str:
    changes = [f"{name} {value}" for name, value in cell.changes.items()]
    if cell.share < 1:
        changes.append(f"{cell.share:.0%} of the training images")
    return ", ".join(changes) or "the base"


class _Keeper:
    """Keeps each cell as it is finished, and shows the time that is left."""

    def __init__(self, run: Run, journal: Journal, todo: dict[str, list[Cell]]) -> None:
        self.run = run
        self.journal = journal
        self._left = {arm: [self._work(c) for c in own] for arm, own in todo.items()}
        self._total = sum(map(len, todo.values()))
        self._done = 0
        self._work_done = dict.fromkeys(todo, 0.0)
        self._seconds = dict.fromkeys(todo, 0.0)

    def _work(self, cell: Cell) -> float:
        return work_of(changed_config(cell, self.run.options.config))

    def keep(self, arm: str, cell: Cell, part: dict) -> None:
        self.journal.keep(_part_name(arm, cell), part)
        record = CellRecord.model_validate(part["record"])
        self._done += 1
        work = self._work(cell)
        self._left[arm].remove(work)
        if record.status == "ok":
            self._work_done[arm] += work
            self._seconds[arm] += record.seconds
        result = f"test {record.best.test:.3f}" if record.best else record.status
        self.run.display.say(
            f"{self._done} of {self._total}, {self._minutes_left():.0f} min left; "
            f"{arm}: {_describe(record)}, seed {record.seed}: {result}"
        )
        self.run.display.show("training", self._done, self._total)

    def _minutes_left(self) -> float:
        """Return the time that the slower arm still needs, at its pace so far."""
        paces = self._paces()
        slowest = max(paces.values(), default=0.0)  # none if all have failed
        seconds = [
            paces.get(arm, slowest) * sum(left) for arm, left in self._left.items()
        ]
        return max(seconds) / 60

    def _paces(self) -> dict[str, float]:
        """Return the seconds of one unit of work, by arm."""
        done = {arm: work for arm, work in self._work_done.items() if work}
        return {arm: self._seconds[arm] / work for arm, work in done.items()}

    def store_pace(self) -> None:
        """Keep the pace of the slower arm, for later estimates."""
        if paces := self._paces():
            images = len(self.run.data.splits["train"].labels)
            store_training_s(max(paces.values()), images)


def _store_features(
    run: Run, journal: Journal, todo: dict[str, list[Cell]]
) -> dict[str, Path]:
    """Compute the features that the cells need, and return their files by resize.

    Each arm computes them, as a check. The first arm's are for all arms: from equal
    features on, two equal programs give equal numbers.
    """
    needed = [
        config.resize
        for config in _configs(run, [cell for own in todo.values() for cell in own])
        if is_on_features(config)
    ]
    stored: dict[str, Path] = {}
    for resize in dict.fromkeys(needed):
        inputs = _inputs_of(run, resize)
        arms = run.options.arms
        files = together(*(partial(_compute_features, run, a, inputs) for a in arms))
        first, *others = [np.load(file)["validation"] for file in files]
        for arm, other in zip(arms[1:], others, strict=True):
            difference = max_scaled_diff(other, first)
            journal.keep(f"{FEATURES}{resize}, {arm} against {arms[0]}", difference)
        stored[resize] = files[0]
    return stored


def _configs(run: Run, cells: list[Cell]) -> list[Config]:
    return [changed_config(cell, run.options.config) for cell in cells]


def _train_arm(
    keeper: _Keeper, arm: str, cells: list[Cell], features: dict[str, Path]
) -> None:
    """Train cells on one arm, first those whose photos are squeezed to a square."""
    for resize in ("squeeze", "crop"):
        configs = _configs(keeper.run, cells)
        own = [c for c, x in zip(cells, configs, strict=True) if x.resize == resize]
        if own:
            inputs = _inputs_of(keeper.run, resize)
            _train_group(keeper, arm, own, inputs, features.get(resize))


def _inputs_of(run: Run, resize: str) -> Inputs:
    """Return the inputs of a run, with its photos made square in another way."""
    config = run.options.config.model_copy(update={"resize": resize})
    if config == run.options.config:
        return run.inputs
    data = prepare(
        run.options.data, config, skip_bad_images=run.options.skip_bad_images
    )
    return run.inputs.model_copy(update={"data": data.folder.resolve()})


def _train_group(
    keeper: _Keeper,
    arm: str,
    cells: list[Cell],
    inputs: Inputs,
    features: Path | None,
) -> None:
    """Train cells on the same images. If a process breaks down, another one goes on."""
    run, by_name = keeper.run, {cell.name: cell for cell in cells}

    def on_event(event: dict) -> None:
        if event["event"] == "cell":
            keeper.keep(arm, by_name[event["name"]], event["part"])
        elif event["event"] in ("stderr", "epoch"):
            run.display.on_event(arm, event)

    while cells:
        request = TrainCells(
            arm=arm,
            config=run.options.config,
            scratch=run.scratch / f"{arm}-cells",
            inputs=inputs,
            cells=cells,
            features=features,
        )
        try:
            with start_worker(run, _environment(run)) as process:
                process.do(request, on_event, run.options.time_limit_s)
        except ArmFailed as reason:
            if stopping.is_set():
                raise
            failed = _unfinished(arm, cells, keeper.journal, run.options)[0]
            record = CellRecord(
                arm=arm,
                changes=failed.changes,
                share=failed.share,
                seed=failed.seed,
                status=f"failed: {reason}",
            )
            keeper.keep(arm, failed, {"record": record.model_dump()})
        cells = _unfinished(arm, cells, keeper.journal, run.options)


def _compute_features(run: Run, arm: str, inputs: Inputs) -> Path:
    """Compute the features of all images once, and return their file."""
    request = DoTasks(
        job="compute_features",
        arm=arm,
        config=run.options.config,
        scratch=run.scratch / f"{arm}-features",
        inputs=inputs,
        tasks=[Task(name=Path(inputs.data).name)],
    )
    (path,) = work(run, request, _environment(run))["paths"].values()
    return Path(path)


def _environment(run: Run) -> Environment:
    return environment_for_experiments(len(run.options.arms))


def make_record(run: Run, parts: Mapping[str, Any]) -> ExperimentsRecord:
    """Return the record of the finished cells, with the verdicts."""
    options = run.options
    cells = list_cells(options.experiments, options.config)
    names = [
        _part_name(arm, cell)
        for cell in cells
        for arm in arms_of(cell, options.arms, options.config)
    ]
    pairs = list(_pairs(parts, cells, options.config))
    record = ExperimentsRecord(
        quick=options.quick,
        seeds={name: one.seeds for name, one in options.experiments.items()},
        margin=MARGIN,
        experiments={},
        cells=[parts[name]["record"] for name in names if name in parts],
        pairs=len(pairs),
        differing=[one for one in pairs if one.images],
        features={
            name.removeprefix(FEATURES): value
            for name, value in parts.items()
            if name.startswith(FEATURES)
        },
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
            name=name,
            changes=_changes(experiment, one, config),
            share=one.share,
            arm=one.arm,
            against=one.against,
        )
        for name, one in experiment.settings.items()
    ]
    return ExperimentRecord(
        question=experiment.question, epochs=experiment.epochs, settings=settings
    )


def _pairs(
    parts: Mapping[str, Any], cells: list[Cell], config: Config
) -> Iterator[DifferingCell]:
    """Compare the two arms in every cell that is the same training on both."""
    for cell in cells:
        twins = [parts.get(_part_name(arm, cell), {}) for arm in PAIR]
        if not all("predictions" in twin for twin in twins):
            continue
        if is_on_features(changed_config(cell, config)):
            histories = [twin["record"]["history"] for twin in twins]
            yield DifferingCell(
                changes=cell.changes,
                share=cell.share,
                seed=cell.seed,
                images=count_differing(*twins),
                by_rounding=grows_from_rounding(*histories),
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
