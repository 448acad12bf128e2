"""Estimate how long the trainings of experiments take on this machine."""

import json
from pathlib import Path

import numpy as np

from shared.clock import now
from shared.config import Config
from shared.files import cache_folder, write_atomically
from shared.model.architecture import NUM_FEATURES

NUMPY_STEPS = 200
# Time of a training in a framework's process, over that of NUMPY_STEPS steps in NumPy.
TIMES_NUMPY = 25.0
# A pass of all images through the network takes about as long as so many trainings of
# a head on stored features.
EPOCH_ON_IMAGES = 10.0


def work_of(config: Config) -> float:
    """Return the time of a training, as a multiple of that of a head on features."""
    passes = config.num_epochs
    if config.features_are_cached:
        passes -= config.epochs  # those of fine-tuning are left
    return 1.0 + EPOCH_ON_IMAGES * passes


def store_training_s(seconds: float) -> None:
    """Keep the seconds that one training of a finished run took on the slower arm."""
    write_atomically(_file(), json.dumps({"training_s": seconds}))


def estimate_training_s() -> float:
    """Return the seconds of one training on the slower arm, both working at once.

    They are those of the last run on this machine. Before the first one they are
    estimated from a small training in NumPy, which takes a fraction of a second.
    """
    if _file().is_file():
        return json.loads(_file().read_text())["training_s"]
    return TIMES_NUMPY * _numpy_steps_s()


def _file() -> Path:
    return cache_folder() / "experiments.json"


def _numpy_steps_s() -> float:
    """Return the seconds of NUMPY_STEPS steps of a head with one hidden layer."""
    random = np.random.default_rng(0)
    features = random.random((32, NUM_FEATURES), np.float32)
    inner = random.random((NUM_FEATURES, 100), np.float32)
    times = []
    for _ in range(NUMPY_STEPS):
        start = now()
        hidden = np.maximum(features @ inner, 0)
        gradient = features.T @ (hidden - hidden.mean())
        inner -= 1e-9 * gradient
        times.append(now() - start)
    return NUMPY_STEPS * float(np.median(times))  # the first one starts the threads
