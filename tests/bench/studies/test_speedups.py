"""The speed-ups on workers that answer at once."""

from dataclasses import replace

import numpy as np
import pytest

from bench.judging.checks import make_checks
from bench.processes.worker_process import ENVIRONMENT, GLIBC, ArmFailed
from bench.records import ArmRecord, MemoryRecord
from bench.run.state import Run
from bench.studies import speedups
from shared.config import make_config
from shared.metrics import score

SPEEDUP = 2.0  # of every version over the one before


class FakeWorkers:
    """Each version takes half as long as the one before; keeps what it was asked."""

    def __init__(self, run: Run, broken: str = "", mistaken: str = "") -> None:
        self.labels = run.data.splits["test"].labels
        self.asked: list[tuple] = []
        self.random = np.random.default_rng(0)
        here = None, run.device.kind
        versions = [i for i in speedups.VERSIONS["pytorch"] if i.device in here]
        self.names = {self._key(i): i.name for i in versions}
        self.places = list(self.names)
        self.broken, self.mistaken = broken, mistaken

    @staticmethod
    def _key(version: speedups.Version) -> tuple:
        environment = ENVIRONMENT if version.keeps_memory else GLIBC
        return tuple(sorted(version.changes.items())), tuple(environment.values())

    def __call__(self, run, request, environment=ENVIRONMENT):  # noqa: ARG002
        job = request.job
        if job == "time_cold":
            phases = {"start": [500.0], "import": [4000.0], "build": [500.0]}
            return {"device": "cpu", "phases": phases}
        if job == "time_steady":
            phases = {"onnx_batch_32": [90.0, 100.0, 110.0]}
            return {"device": "cpu", "phases": phases, "images": {"onnx_batch_32": 32}}
        config = request.config.model_dump()
        known = make_config().model_dump() | {"augment": config["augment"]}
        changes = {n: v for n, v in config.items() if v != known[n]}
        key = tuple(sorted(changes.items())), tuple(environment.values())
        self.asked.append((job, self.names[key], config["augment"]))
        if self.names[key] == self.broken:
            raise ArmFailed("out of memory")
        seconds = 100 / SPEEDUP ** self.places.index(key)
        if job == "time_epoch":
            noise = self.random.normal(1, 0.01)
            return {"images": 40, "milliseconds": [1000 * seconds * noise]}
        wrong = self.names[key] == self.mistaken
        return {"arm": self._trained(seconds, wrong).model_dump()}

    def _trained(self, seconds: float, wrong: bool) -> ArmRecord:
        logits = np.eye(3)[(self.labels + wrong) % 3]
        scores = score(logits, self.labels, ["hat", "pants", "shirt"])
        return ArmRecord(
            status="ok",
            device="cpu",
            stages={"start": 1.0, "import": 2.0, "epochs": seconds, "evaluate": 50.0},
            memory=MemoryRecord(peak_rss_mib=900),
            validation=scores,
            test=scores,
        )


def climb(run: Run, monkeypatch, **defects: str) -> FakeWorkers:
    workers = FakeWorkers(run, **defects)
    monkeypatch.setattr(speedups, "work", workers)
    speedups.measure_speedups(run)
    return workers


def test_every_version_is_trained_once_and_timed_in_five_rounds(run, monkeypatch):
    workers = climb(run, monkeypatch)
    names = list(workers.names.values())
    trained = [name for job, name, _ in workers.asked if job == "train"]
    assert trained == names
    timed = [name for job, name, moved in workers.asked if job != "train" and not moved]
    assert sorted(timed) == sorted(names * 5)
    assert timed[: len(names)] != names  # shuffled
    order = run.speedups.order["pytorch"]
    assert [n for one in order for n in one if speedups.AUGMENTED not in n] == timed


def test_gain_is_over_the_version_before(run, monkeypatch):
    climb(run, monkeypatch)
    first, *others = run.speedups.arms["pytorch"]
    assert first.gain is None
    for version in others:
        assert version.gain.ratio == pytest.approx(SPEEDUP, rel=0.03)
        assert version.gain.interval[0] > 1
    assert first.epoch.images_per_second == pytest.approx(40 / 100, rel=0.03)
    assert first.seconds == 103  # what comes after the best checkpoint does not count


def test_versions_on_images_are_timed_with_augmentation_too(run, monkeypatch):
    climb(run, monkeypatch)
    moved = {
        version.name for version in run.speedups.arms["pytorch"] if version.augmented
    }
    assert "as usually written" in moved
    assert "bfloat16" in moved
    assert not any("once" in name for name in moved)


def test_a_version_that_fails_does_not_lose_the_others(run, monkeypatch):
    workers = climb(run, monkeypatch, broken="compile")
    names = [version.name for version in run.speedups.arms["pytorch"]]
    assert "compile" not in names
    assert len(names) == len(workers.names) - 1
    assert any("compile: out of memory" in reason for reason in run.not_run)
    assert run.failures == 1


def test_a_version_for_a_gpu_is_left_out_on_a_cpu(run, monkeypatch):
    climb(run, monkeypatch)
    names = "pinned memory", "cuDNN tuned", "TF32"
    assert not {*names} & {one.name for one in run.speedups.arms["pytorch"]}
    reasons = [f"speed-ups of pytorch: {n}, a version for --device cuda" for n in names]
    assert run.not_run == reasons
    assert run.failures == 0


def test_no_floor_is_timed_on_a_gpu(run, gpu, monkeypatch):
    """It is that of onnxruntime, which computes on the CPU."""
    run.device = gpu
    monkeypatch.setattr(speedups, "_floor", lambda *_: pytest.fail("it was timed"))
    climb(run, monkeypatch)
    assert run.speedups.floor_s == {}
    assert "TF32" in [version.name for version in run.speedups.arms["pytorch"]]
    assert run.not_run == []


@pytest.mark.parametrize("mistaken", ["", "compile"])
def test_a_version_that_loses_accuracy_fails_a_check(run, monkeypatch, mistaken):
    climb(run, monkeypatch, mistaken=mistaken)
    checks = make_checks({}, speedups=run.speedups)
    assert len(checks) == len(run.speedups.arms["pytorch"]) - 1
    failed = [check.name.split(":")[0] for check in checks if not check.passed]
    assert failed == (["pytorch, compile"] if mistaken else [])


def test_an_arm_without_versions_is_missed(run, monkeypatch):
    run.options = replace(run.options, arms=("keras-jax",))
    climb(run, monkeypatch)
    assert run.not_run == ["speed-ups of keras-jax: it has no versions"]
    assert run.failures == 1


def test_floor_is_start_up_and_a_pass_at_onnxruntime_s_rate(run, monkeypatch):
    """5 s to start; 57 images at 32 in 100 ms."""
    climb(run, monkeypatch)
    assert run.speedups.floor_s["pytorch"] == pytest.approx(5 + 57 / 320)
