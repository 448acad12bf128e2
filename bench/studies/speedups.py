"""Measure speed-ups with versions of each program, from the usual to the fastest.

The first version of each arm is the plain program, which reads image files. Each
further version has one speed-up more.
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
from bench.records import ArmRecord, SpeedupsRecord, VersionRecord
from bench.run.environment import describe_state
from bench.run.state import Run, work
from shared.clock import now
from shared.config import Config
from shared.data.dataset import prepare
from shared.data.folders import link_images
from shared.data.subsets import shorten
from shared.sampling import TIMING, stream


@dataclass(frozen=True)
class Version:
    """Version of a program with all of its settings.

    Attributes:
        changes: changes of the configuration.
        keeps_memory: whether freed memory stays with the process. [D21]
        device: "cpu" or "cuda" if the version exists only there.
    """

    name: str
    what: str
    changes: dict[str, Any] = field(default_factory=dict)
    keeps_memory: bool = True
    device: str | None = None

    @property
    def sees_images(self) -> bool:
        """Return whether every epoch passes images through the whole network."""
        return "division" in self.changes or "cache_features" in self.changes


AUGMENTED = ", augmented"
# Settings that a version does not change have these values, not the user's.
DEFAULTS = {
    name: Config.model_fields[name].default
    for name in (
        "cache_features",
        "fold_batch_norm",
        "channels_last",
        "pin_memory",
        "cudnn_benchmark",
        "compile",
        "tf32",
        "precision",
    )
}
USUAL = {"division": "plain"}
FOLDED = {"cache_features": False}  # passes all decoded images in every epoch
FROM_CACHE = FOLDED | {"fold_batch_norm": False}
COMPILED = FOLDED | {"compile": True, "tf32": True}  # TF32 exists only on GPUs
MIXED = {"precision": "bfloat16"}
# These exist only on GPUs.
PINNED = {"pin_memory": True}
TUNED = PINNED | {"cudnn_benchmark": True}

VERSIONS = {
    "pytorch": (
        Version(
            name="as usually written",
            what="files in the Dataset, NCHW, eager",
            changes=USUAL,
            keeps_memory=False,
        ),
        Version(
            name="freed memory kept",
            what="and in huge pages [D21]",
            changes=USUAL,
        ),
        Version(
            name="decode cache",
            what="decoded once; batch norm frozen [D01]",
            changes=FROM_CACHE | {"channels_last": False},
        ),
        Version(
            name="channels_last",
            what="NHWC in memory [D30]",
            changes=FROM_CACHE,
        ),
        Version(
            name="batch norm folded",
            what="into the frozen convolutions",
            changes=FOLDED,
        ),
        Version(
            name="pinned memory",
            what="batches where the GPU reads faster",
            changes=FOLDED | PINNED,
            device="cuda",
        ),
        Version(
            name="cuDNN tuned",
            what="cudnn.benchmark; TensorFlow does this by itself",
            changes=FOLDED | TUNED,
            device="cuda",
        ),
        Version(
            name="TF32",
            what="[D22]",
            changes=FOLDED | TUNED | {"tf32": True},
            device="cuda",
        ),
        Version(
            name="compile",
            what="torch.compile [D16]",
            changes=COMPILED | TUNED,
        ),
        Version(
            name="bfloat16",
            what="autocast",
            changes=COMPILED | TUNED | MIXED,
        ),
        Version(
            name="features once",
            what="float32: what `all` does",
        ),
        Version(
            name="features once, bfloat16",
            what="the same under autocast",
            changes=MIXED,
        ),
    ),
    "keras": (
        Version(
            name="as usually written",
            what="image_dataset_from_directory, compile, fit",
            changes=USUAL,
            keeps_memory=False,
        ),
        Version(
            name="freed memory kept",
            what="and in huge pages [D21]",
            changes=USUAL,
        ),
        Version(
            name="decode cache",
            what="decoded once; no tuner [D34]",
            changes=FROM_CACHE,
        ),
        Version(
            name="batch norm folded",
            what="into the frozen convolutions",
            changes=FOLDED,
        ),
        Version(
            name="TF32",
            what="[D22]",
            changes=FOLDED | {"tf32": True},
            device="cuda",
        ),
        # XLA's depthwise convolutions for a CPU are many times slower than oneDNN's.
        Version(
            name="jit_compile",
            what="XLA [D16]",
            changes=COMPILED,
            device="cuda",
        ),
        Version(
            name="mixed_bfloat16 under XLA",
            what="the policy",
            changes=COMPILED | MIXED,
            device="cuda",
        ),
        Version(
            name="mixed_bfloat16",
            what="without XLA",
            changes=FOLDED | MIXED,
            device="cpu",
        ),
        Version(
            name="features once",
            what="float32: what `all` does",
        ),
        Version(
            name="features once, mixed_bfloat16",
            what="the same under the policy",
            changes=MIXED,
        ),
    ),
}


def measure_speedups(run: Run) -> None:
    """Train every version once to the best checkpoint, then time it in rounds."""
    run.folders = link_images(run.data, run.scratch / "images")
    config = run.options.config
    record = run.speedups = SpeedupsRecord(epochs=config.epochs, seed=config.seed)
    record.before = describe_state(run.device)
    record.decoding_s = _time_decoding(run)
    for arm in run.options.arms:
        if arm not in VERSIONS:
            run.miss(f"speed-ups of {arm}: it has no versions")
            continue
        record.arms[arm] = []  # is filled version by version, in case of Ctrl-C
        _train_versions(run, arm, record.arms[arm])
        _time_versions(run, arm, record)
        if run.device.kind == "cpu":  # onnxruntime does not use a GPU here
            try:
                record.floor_s[arm] = _floor(run, arm)
            except ArmFailed as reason:
                run.miss(f"speed-ups of {arm}: floor: {reason}")
        record.after = describe_state(run.device)


def _time_decoding(run: Run) -> float:
    """Return the seconds for decoding all images into an empty cache."""
    start = now()
    prepare(
        str(run.data.source_folder),
        run.options.config,
        skip_bad_images=run.options.skip_bad_images,
        cache=run.scratch / "cache",
        progress=run.display.show,
    )
    return now() - start


def _train_versions(run: Run, arm: str, versions: list[VersionRecord]) -> None:
    labels = run.data.splits["test"].labels
    correct: list[np.ndarray] = []  # whether each test image is correct, by version
    for version in VERSIONS[arm]:
        if version.device not in (None, run.device.kind):
            what = f"speed-ups of {arm}: {version.name}"
            run.not_run.append(f"{what}, a version for --device {version.device}")
            continue
        run.display.say(f"speed-ups: {arm}, {version.name}")
        scratch = run.scratch / f"{arm}-version"
        try:
            done = _work(run, _train_request(run, arm, version, scratch), version)
        except ArmFailed as reason:
            run.miss(f"speed-ups: {arm}, {version.name}: {reason}")
            continue
        trained = ArmRecord.model_validate(done["arm"])
        correct.append(np.array(trained.test.predictions) == labels)
        versions.append(
            VersionRecord(
                name=version.name,
                what=version.what,
                changes=version.changes,
                reads_cache=version.changes.get("division") != "plain",
                stages=trained.stages,
                memory=trained.memory,
                test_accuracy=trained.test.accuracy,
                difference=0.0,
                difference_interval=(0.0, 0.0),
            )
        )
        _judge_accuracies(versions, correct)


def _judge_accuracies(versions: list[VersionRecord], correct: list[np.ndarray]) -> None:
    """Compare each version with the previous version; all are judged together."""
    pairs = pairwise(correct)
    family = [accuracy_difference(this, before) for before, this in pairs]
    for version, found in zip(versions[1:], decide(family), strict=True):
        version.difference = found.estimate
        version.difference_interval = found.interval
        version.difference_confidence = found.confidence
        version.mcnemar_p = found.p


def _time_versions(run: Run, arm: str, record: SpeedupsRecord) -> None:
    """Measure images/s of each version, and its gain over the previous version.

    Versions that see images in every epoch are also timed with augmentation.
    """
    config = run.options.config
    versions = {version.name: version for version in VERSIONS[arm]}
    few = link_images(shorten(run.data), run.scratch / f"{arm}-few")
    images: dict[str, int] = {}

    # A dozen versions may not fit into memory at once, so they do not take turns.
    def measure(name: str, number: int, _take_turn: TakeTurn) -> Phases:
        rounds = config.timing_rounds
        run.display.say(f"speed-up round {number}/{rounds}: {arm}, {name}")
        version, augment = versions[name.removesuffix(AUGMENTED)], AUGMENTED in name
        scratch = run.scratch / f"{arm}-round"
        request = TimeEpoch(
            arm=arm,
            config=_config_of(run, version, augment),
            scratch=scratch,
            inputs=run.inputs.model_copy(update={"folders": few}),
        )
        done = _work(run, request, version)
        images[name] = done["images"]
        return {"epoch": done["milliseconds"]}

    def miss(name: str, number: int, reason: ArmFailed) -> None:
        run.miss(f"speed-up round {number} of {arm}, {name}: {reason}")

    names = [version.name for version in record.arms[arm]]
    names += [n + AUGMENTED for n in names if versions[n].sees_images]
    random, measured = stream(config.seed, TIMING), Measured()
    record.order[arm] = measured.order  # the same list, which later rounds extend
    try:
        measure_in_rounds(measured, names, config.timing_rounds, random, measure, miss)
    finally:  # keep the samples of an interrupted run
        rounds = {n: phases.get("epoch", {}) for n, phases in measured.samples.items()}
        _summarise(record.arms[arm], rounds, images)


def _summarise(
    versions: list[VersionRecord], rounds: dict[str, Rounds], images: dict[str, int]
) -> None:
    """Fill in the rates and the gains of all versions. Gains are judged together."""
    for version in versions:
        if found := rounds.get(version.name):
            version.epoch = summarise(found, images[version.name])
        if moved := rounds.get(version.name + AUGMENTED):
            version.augmented = summarise(moved, images[version.name + AUGMENTED])
    pairs = {
        version.name: (rounds.get(before.name, {}), rounds.get(version.name, {}))
        for before, version in pairwise(versions)
    }
    gains = compare_times(pairs, ("the version before", "this"))
    for version in versions:
        version.gain = gains.get(version.name)


def _floor(run: Run, arm: str) -> float:
    """Return the seconds to start and to pass all images once through onnxruntime."""
    run.display.say(f"speed-ups: {arm}, floor")
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
    phases = cold["phases"] | done["phases"]
    count = done["images"]["onnx_batch_32"]
    images = sum(len(run.data.splits[name].labels) for name in ("train", "validation"))
    start = sum(phases[name][0] for name in ("start", "import", "build"))
    one_pass = images / count * np.median(phases["onnx_batch_32"])
    return float(start + one_pass) / 1000


def _train_request(run: Run, arm: str, version: Version, scratch: Path) -> Train:
    return Train(
        arm=arm,
        config=_config_of(run, version),
        scratch=scratch,
        inputs=run.inputs,
        models=run.models,
    )


def _config_of(run: Run, version: Version, augment: bool = False) -> Config:
    changes = DEFAULTS | version.changes | {"augment": augment}
    return run.options.config.model_copy(update=changes)


def _work(run: Run, request: Request, version: Version) -> dict:
    return work(run, request, ENVIRONMENT if version.keeps_memory else GLIBC)
