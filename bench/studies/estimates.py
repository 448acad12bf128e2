"""Estimate how long the trainings of experiments take on this machine."""

import json
from pathlib import Path

import numpy as np

from shared.clock import now
from shared.config import Config
from shared.files import cache_folder, write_atomically
from shared.model.architecture import NUM_FEATURES

NUMPY_STEPS = 200
# Training images of the data set for which times are estimated. A run on fewer than a
# third of them spends its time on other things than training, and is not believed.
TRAIN_IMAGES = 3068
# Time of a training on the slower arm over that of NUMPY_STEPS steps in NumPy, on two
# cores.
TIMES_NUMPY = 80.0
# An epoch that passes all images through the frozen network takes about as long as so
# many trainings of a head on stored features, and one that trains the network too.
EPOCH_ON_IMAGES = 12.0
EPOCH_OF_FINE_TUNING = 60.0


def work_of(config: Config) -> float:
    """Return the time of a training, as a multiple of that of a head on features."""
    on_images = 0 if config.features_are_cached else config.epochs
    tuning = config.num_epochs - config.epochs
    return 1.0 + EPOCH_ON_IMAGES * on_images + EPOCH_OF_FINE_TUNING * tuning


def store_training_s(seconds: float, images: int) -> None:
    """Keep the seconds that a training on so many images took on the slower arm."""
    if images >= TRAIN_IMAGES / 3:
        scaled = seconds * TRAIN_IMAGES / images
        write_atomically(_file(), json.dumps({"training_s": scaled}))


def estimate_training_s() -> float:
    """Return the seconds of one training on the slower arm, both working at once.

    They are those of the last run on this machine, scaled to TRAIN_IMAGES. Before the
    first one they are estimated from a small training in NumPy, which takes a fraction
    of a second.
    """
    if _file().is_file():
        return json.loads(_file().read_text())["training_s"]
    return TIMES_NUMPY * _numpy_steps_s()


def _file() -> Path:
    return cache_folder() / "experiments.json"


def _numpy_steps_s() -> float:
    """Return the seconds of NUMPY_STEPS steps of Adam on a layer of 1280 x 100.

    Without a matrix product: the threads of NumPy's wait long on a busy machine.
    """
    weights, mean, square = np.ones((3, NUM_FEATURES, 100), np.float32)
    start = now()
    for step in range(NUMPY_STEPS):
        gradient = weights * np.float32(1e-3 * step)
        mean += 0.1 * (gradient - mean)
        square += 0.001 * (gradient**2 - square)
        weights -= 1e-3 * mean / (np.sqrt(square) + 1e-8)
    return now() - start
