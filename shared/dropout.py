"""Dropout plan: which inputs of the output layer each image keeps in each epoch.

The plan is one row of factors for every image; each framework multiplies by it. [D17]
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from shared.config import Config
from shared.model.architecture import NUM_FEATURES
from shared.sampling import DROPOUT, stream

HIDDEN_LAYER = 0  # part of the key: the head has one layer with dropout


def plan_dropout(
    config: Config, num_images: int, epoch: int, indices: Sequence[int]
) -> np.ndarray:
    """Return factors (n, units) float32 for the output layer's inputs.

    These are the hidden units, or the features if the head has no hidden layer.

    A unit that is dropped has the factor 0, one that is kept 1 / (1 - rate), so that
    the expected sum stays the same (Srivastava et al., "Dropout", 2014, in the form
    that both frameworks use). The factor of a unit depends on the seed, the epoch, the
    image and the unit alone, not on the batch in which the image comes.

    Args:
        num_images: size of the training split.
        epoch: counted from 1.
        indices: which training images, (n,).
    """
    num_units = config.inner_size or NUM_FEATURES
    kept = _kept_units(config.seed, epoch, num_images, num_units, config.dropout)
    return kept[indices] / np.float32(1 - config.dropout)


@lru_cache(maxsize=1)  # a whole epoch at once; its batches come one after the other
def _kept_units(
    seed: int, epoch: int, num_images: int, num_units: int, rate: float
) -> np.ndarray:
    """Return whether each unit is kept, (images, units) bool.

    A row depends on its own image alone.
    """
    random = stream(seed, DROPOUT, epoch, HIDDEN_LAYER)
    return random.random((num_images, num_units), np.float32) >= np.float32(rate)
