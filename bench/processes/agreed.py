"""Constants and functions that the runner and its workers share."""

import numpy as np

from shared.model.checkpoints import Description
from shared.model.weights import Arrays

# The parity ladder passes NUM_IMAGES images through the network: a batch of 32 and a
# smaller last batch. Updates use NUM_FEW of them, and so does float64, which is slow.
NUM_IMAGES = 37
NUM_FEW = 3
# Seeds of the heads that an ablation trains.
SEEDS = (0, 1, 2, 3, 4)
# Samples that an arm takes in one turn of a steady phase.
IN_A_TURN = 1
# Epochs whose times are kept, after the epochs of the warm-up.
VERSION_EPOCHS, EPOCHS = 1, 6
# Prefixes of the array names in a converted checkpoint.
MODEL, OPTIMIZER, STEPPED = "model/", "optimizer/", "one more step/"


def places_of_few() -> np.ndarray:
    """Return the places of the images that both precisions use, (NUM_FEW,)."""
    return np.linspace(0, NUM_IMAGES - 1, NUM_FEW).astype(int)


def as_matched(description: Description) -> Description:
    """Return the description with the division changed to matched."""
    config = description.config.model_copy(update={"division": "matched"})
    return description.model_copy(update={"config": config})


def below(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with `prefix`, named without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
