"""Growth of memory during one pass over the images, and a leak that must be found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.judging.checks import make_checks
from bench.judging.comparison import MIN_PASS_IMAGES
from bench.processes.arms import PAIR
from bench.processes.worker_process import ENVIRONMENT
from bench.records import MemoryRecord, PassMemory, ScalingPoint, ScalingRecord
from bench.worker import memory
from bench.worker.memory import PassWatch, explain
from shared.config import make_config
from shared.data.dataset import ImageData, prepare
from shared.model.numpy_backbone import random_weights
from shared.model.weights import save_weights
from tests.leaking import SETTINGS

PROJECT = Path(__file__).parents[3]


def scaled(one_pass: PassMemory | None) -> ScalingRecord:
    """One arm on one number of images."""
    point = ScalingPoint(
        arm="keras",
        images=10_000,
        decoding_s=1,
        stages={"features": 10, "epochs": 1},
        memory=MemoryRecord(peak_rss_mib=900),
        one_pass=one_pass,
        test_accuracy=0.9,
    )
    return ScalingRecord(points=[point])


def failed(one_pass: PassMemory) -> list[str]:
    """Names of the checks that fail; there must be one for each kind of memory."""
    checks = make_checks({}, scaling=scaled(one_pass))
    assert len(checks) == len(one_pass.growth_mib)
    return [check.name for check in checks if not check.passed]


@pytest.mark.parametrize("kind", ["private", "device"])
@pytest.mark.parametrize(
    ("grown_mib", "is_failed"),
    [(-20, False), (6, False), (50, True), (1440, True)],
)
def test_memory_that_grows_with_the_images_fails(kind, grown_mib, is_failed):
    """50 MiB are 5 for each 1,000 images, which themselves are 144."""
    readings = {"private_mib": None, "device_mib": None}
    readings[f"{kind}_mib"] = (900, 900 + grown_mib)
    found = failed(PassMemory(images=10_000, **readings))
    assert [kind in name for name in found] == [True] * is_failed


def test_a_short_pass_is_not_judged():
    short = PassMemory(
        images=MIN_PASS_IMAGES - 1, private_mib=(900, 990), device_mib=None
    )
    assert make_checks({}, scaling=scaled(short)) == []
    assert make_checks({}, scaling=scaled(None)) == []


def test_memory_is_read_after_a_quarter_and_before_the_last_batch(monkeypatch):
    readings = iter([900.0, 930.0])
    monkeypatch.setattr(memory, "read_private_mib", lambda: next(readings))
    told = []
    watch = PassWatch(32, lambda: None, lambda *progress: told.append(progress))
    assert watch.record() is None
    for done in range(1, 102):
        watch(done, 101)
    found = watch.record()
    assert found.images == (100 - 26) * 32
    assert found.private_mib == (900, 930)
    assert found.device_mib is None
    assert told == [(done, 101) for done in range(1, 102)]


def test_a_pass_of_two_batches_tells_nothing():
    watch = PassWatch(32, lambda: 1.0, lambda *_progress: None)
    watch(1, 2)
    watch(2, 2)
    assert watch.record() is None


@pytest.fixture(scope="module")
def many_images(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    """Small drawings in two classes, enough of them to judge a pass by."""
    folder, random = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    counts = {"train": 5500, "validation": 10, "test": 10}
    for split, count in counts.items():
        for label in ("dark", "light"):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                path = folder / split / label / f"{number}.png"
                Image.fromarray(pixels).save(path)
    cache = tmp_path_factory.mktemp("cache")
    return prepare(str(folder), make_config(**SETTINGS), cache=cache)


@pytest.mark.skipif(not memory.STATM.is_file(), reason="only Linux tells it")
@pytest.mark.parametrize("arm", PAIR)
def test_a_leak_of_5_mib_for_1000_images_is_found(arm, many_images, tmp_path):
    weights = tmp_path / "weights.safetensors"
    save_weights(random_weights(many_images.splits["train"].images, seed=0), weights)
    subprocess.run(
        [sys.executable, "-m", "tests.leaking", arm]
        + [str(path) for path in (many_images.folder, weights, tmp_path)],
        cwd=PROJECT,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    passes = json.loads((tmp_path / "passes.json").read_text())
    without, leaking = map(PassMemory.model_validate, passes)
    assert failed(without) == []
    assert len(failed(leaking)) == 1
    assert leaking.growth_mib["private"] == pytest.approx(5, abs=2)


class OutOfMemoryError(RuntimeError):
    """As PyTorch's is called; tests/test_gpu.py has the frameworks' own."""


def test_no_smaller_batch_is_named_where_there_is_none():
    error = OutOfMemoryError("CUDA out of memory")
    for config in (make_config(batch_size=1), make_config(division="plain")):
        assert explain(error, config).startswith("out of memory. --device cpu takes")


def test_other_failures_keep_their_words():
    error = ValueError("shapes differ\nfurther lines")
    assert explain(error, make_config()) == "ValueError: shapes differ"
