"""The optimisation ladder: what each idiom buys, one rung at a time.

The lowest rung of each arm is the program as it is usually written, on image files.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.judging.intervals import (
    Rounds,
    accuracy_difference,
    compare_times,
    decide,
    summarise,
)
from bench.processes.request import Request, Time, TimeEpoch, Train
from bench.processes.rounds import Measured, Phases, TakeTurn, measure_in_rounds
from bench.processes.worker_process import ENVIRONMENT, GLIBC, ArmFailed
from bench.records import ArmRecord, IdiomRecord, IdiomsRecord
from bench.run.environment import describe_state
from bench.run.state import Run, work
from shared.clock import now
from shared.config import Config
from shared.data.dataset import prepare
from shared.data.folders import link_images
from shared.data.subsets import shorten
from shared.sampling import TIMING, stream


@dataclass(frozen=True)
class Idiom:
    """One rung: all of its settings, not only what sets it apart from the one below.

    Attributes:
        changes: of the configuration.
        keeps_memory: freed memory stays with the process, as everywhere else. [D21]
        device: "cpu" or "cuda" where it is a rung on that alone.
    """

    name: str
    what: str
    changes: dict[str, Any] = field(default_factory=dict)
    keeps_memory: bool = True
    device: str | None = None

    @property
    def sees_images(self) -> bool:
        """In every epoch, and not only to compute features once."""
        return "division" in self.changes or "cache_features" in self.changes


AUGMENTED = ", augmented"
# What a rung does not name is as here, whatever the user's own settings are.
DEFAULTS = {
    name: Config.model_fields[name].default
    for name in (
        "cache_features",
        "fold_batch_norm",
        "channels_last",
        "compile",
        "tf32",
        "precision",
    )
}
USUAL = {"division": "plain"}
FOLDED = {"cache_features": False}  # decoded images, each in every epoch
FROM_CACHE = FOLDED | {"fold_batch_norm": False}
COMPILED = FOLDED | {"compile": True, "tf32": True}  # TF32 is of GPUs alone
MIXED = {"precision": "bfloat16"}
TF32 = Idiom("TF32", "[D22]", FOLDED | {"tf32": True}, device="cuda")

IDIOMS = {
    "pytorch": (
        Idiom(
            *("as usually written", "files in the Dataset, NCHW, eager"),
            *(USUAL, False),
        ),
        Idiom("freed memory kept", "and in huge pages [D21]", USUAL),
        Idiom(
            *("decode cache", "decoded once; batch norm frozen [D01]"),
            FROM_CACHE | {"channels_last": False},
        ),
        Idiom("channels_last", "NHWC in memory [D30]", FROM_CACHE),
        Idiom("batch norm folded", "into the frozen convolutions", FOLDED),
        TF32,
        Idiom("compile", "torch.compile [D16]", COMPILED),
        Idiom("bfloat16", "autocast", COMPILED | MIXED),
        Idiom("features once", "float32: what `all` does"),
        Idiom("features once, bfloat16", "the same under autocast", MIXED),
    ),
    "keras": (
        Idiom(
            *("as usually written", "image_dataset_from_directory, compile, fit"),
            *(USUAL, False),
        ),
        Idiom("freed memory kept", "and in huge pages [D21]", USUAL),
        Idiom("decode cache", "decoded once; no tuner [D34]", FROM_CACHE),
        Idiom("batch norm folded", "into the frozen convolutions", FOLDED),
        TF32,
        # XLA's depthwise convolutions for a CPU are many times slower than oneDNN's.
        Idiom("jit_compile", "XLA [D16]", COMPILED, device="cuda"),
        Idiom(
            "mixed_bfloat16 under XLA", "the policy", COMPILED | MIXED, device="cuda"
        ),
        Idiom("mixed_bfloat16", "without XLA", FOLDED | MIXED, device="cpu"),
        Idiom("features once", "float32: what `all` does"),
        Idiom("features once, mixed_bfloat16", "the same under the policy", MIXED),
    ),
}


def climb_idioms(run: Run) -> None:
    """Time every rung in rounds, then train each once, to the best checkpoint."""
    run.folders = link_images(run.data, run.scratch / "images")
    config = run.options.config
    record = run.idioms = IdiomsRecord(epochs=config.epochs, seed=config.seed)
    record.before = describe_state()
    record.decoding_s = _time_decoding(run)
    for arm in run.options.arms:
        if arm not in IDIOMS:
            run.miss(f"optimisation ladder of {arm}: it has no rungs")
            continue
        record.arms[arm] = []  # filled rung by rung, to be there if interrupted
        _train_rungs(run, arm, record.arms[arm])
        _time_rungs(run, arm, record)
        try:
            record.floor_s |= _floor(run, arm)
        except ArmFailed as reason:
            run.miss(f"optimisation ladder of {arm}: floor: {reason}")
        record.after = describe_state()


def _time_decoding(run: Run) -> float:
    """Seconds to decode all images into an empty cache."""
    start = now()
    prepare(
        str(run.data.source_folder),
        run.options.config,
        skip_bad_images=run.options.skip_bad_images,
        cache=run.scratch / "cache",
        progress=run.display.show,
    )
    return now() - start


def _train_rungs(run: Run, arm: str, rungs: list[IdiomRecord]) -> None:
    labels, device = run.data.splits["test"].labels, None
    correct: list[np.ndarray] = []  # by rung: which test images it gets right
    for idiom in IDIOMS[arm]:
        if idiom.device and device and idiom.device != _kind(device):
            what = f"optimisation ladder of {arm}: {idiom.name}"
            run.not_run.append(f"{what}, a rung for --device {idiom.device}")
            continue
        run.display.say(f"optimisation ladder: {arm}, {idiom.name}")
        scratch = run.scratch / f"{arm}-idiom"
        try:
            done = _work(run, _train_request(run, arm, idiom, scratch), idiom)
        except ArmFailed as reason:
            run.miss(f"optimisation ladder: {arm}, {idiom.name}: {reason}")
            continue
        trained = ArmRecord.model_validate(done["arm"])
        device = trained.device
        correct.append(np.array(trained.test.predictions) == labels)
        rungs.append(
            IdiomRecord(
                name=idiom.name,
                what=idiom.what,
                changes=idiom.changes,
                reads_cache=idiom.changes.get("division") != "plain",
                stages=trained.stages,
                memory=trained.memory,
                test_accuracy=trained.test.accuracy,
                difference=0.0,
                difference_interval=(0.0, 0.0),
            )
        )
        _judge_accuracies(rungs, correct)


def _judge_accuracies(rungs: list[IdiomRecord], correct: list[np.ndarray]) -> None:
    """Compare each rung with the one before; all rungs are judged together."""
    pairs = pairwise(correct)
    family = [accuracy_difference(this, before) for before, this in pairs]
    for rung, found in zip(rungs[1:], decide(family), strict=True):
        rung.difference = found.estimate
        rung.difference_interval = found.interval
        rung.difference_confidence = found.confidence
        rung.mcnemar_p = found.p


def _kind(device: str) -> str:
    """ "cpu", or "cuda" for a GPU by its name."""
    return "cpu" if device == "cpu" else "cuda"


def _time_rungs(run: Run, arm: str, record: IdiomsRecord) -> None:
    """Images a second of each rung, and its gain over the rung before.

    Rungs that see images in every epoch are timed with augmentation too.
    """
    config = run.options.config
    idioms = {idiom.name: idiom for idiom in IDIOMS[arm]}
    few = link_images(shorten(run.data), run.scratch / f"{arm}-few")
    images: dict[str, int] = {}

    # A dozen rungs at once may not fit into memory: none lets others have a turn.
    def measure(name: str, number: int, _take_turn: TakeTurn) -> Phases:
        rounds = config.timing_rounds
        run.display.say(f"ladder round {number}/{rounds}: {arm}, {name}")
        idiom, augment = idioms[name.removesuffix(AUGMENTED)], AUGMENTED in name
        scratch = run.scratch / f"{arm}-round"
        request = TimeEpoch(
            arm=arm,
            config=_config_of(run, idiom, augment),
            scratch=scratch,
            inputs=run.inputs.model_copy(update={"folders": few}),
        )
        done = _work(run, request, idiom)
        images[name] = done["images"]
        return {"epoch": done["milliseconds"]}

    def miss(name: str, number: int, reason: ArmFailed) -> None:
        run.miss(f"ladder round {number} of {arm}, {name}: {reason}")

    names = [rung.name for rung in record.arms[arm]]
    names += [n + AUGMENTED for n in names if idioms[n].sees_images]
    random, measured = stream(config.seed, TIMING), Measured()
    record.order[arm] = measured.order  # the list itself, which is still filled
    try:
        measure_in_rounds(measured, names, config.timing_rounds, random, measure, miss)
    finally:  # what an interrupted run has found is worth keeping
        rounds = {n: phases.get("epoch", {}) for n, phases in measured.samples.items()}
        _summarise(record.arms[arm], rounds, images)


def _summarise(
    rungs: list[IdiomRecord], rounds: dict[str, Rounds], images: dict[str, int]
) -> None:
    """Rates of all rungs, and their gains, which are judged together."""
    for rung in rungs:
        if found := rounds.get(rung.name):
            rung.epoch = summarise(found, images[rung.name])
        if moved := rounds.get(rung.name + AUGMENTED):
            rung.augmented = summarise(moved, images[rung.name + AUGMENTED])
    pairs = {
        rung.name: (rounds.get(before.name, {}), rounds.get(rung.name, {}))
        for before, rung in pairwise(rungs)
    }
    gains = compare_times(pairs, ("the rung before", "this"))
    for rung in rungs:
        rung.gain = gains.get(rung.name)


def _floor(run: Run, arm: str) -> dict[str, float]:
    """Seconds to start and to take one pass over the images at onnxruntime's rate.

    By arm; empty on a GPU, which onnxruntime does not use here.
    """
    run.display.say(f"optimisation ladder: {arm}, floor")
    config = run.options.config.model_copy(update=DEFAULTS)
    cold, done = (
        work(
            run,
            Time(
                job=job,
                arm=arm,
                config=config,
                scratch=run.scratch / f"{arm}-floor",
                inputs=run.inputs,
            ),
        )
        for job in ("time_cold", "time_steady")
    )
    if done["device"] != "cpu":
        return {}
    phases = cold["phases"] | done["phases"]
    count = done["images"]["onnx_batch_32"]
    images = sum(len(run.data.splits[name].labels) for name in ("train", "validation"))
    start = sum(phases[name][0] for name in ("start", "import", "build"))
    one_pass = images / count * np.median(phases["onnx_batch_32"])
    return {arm: float(start + one_pass) / 1000}


def _train_request(run: Run, arm: str, idiom: Idiom, scratch: Path) -> Train:
    return Train(
        arm=arm,
        config=_config_of(run, idiom),
        scratch=scratch,
        inputs=run.inputs,
        models=run.models,
    )


def _config_of(run: Run, idiom: Idiom, augment: bool = False) -> Config:
    changes = DEFAULTS | idiom.changes | {"augment": augment}
    return run.options.config.model_copy(update=changes)


def _work(run: Run, request: Request, idiom: Idiom) -> dict:
    return work(run, request, ENVIRONMENT if idiom.keeps_memory else GLIBC)
