"""What the runner and its workers both have to know about a job."""

import numpy as np

from shared.model.checkpoints import Description
from shared.model.weights import Arrays

# Images that the parity ladder looks at.
NUM_IMAGES = 37  # a whole batch of 32 and a rest: what passes through the network
NUM_FEW = 3  # of them, for updates, and for all in float64, which is slow
# Of the heads that an ablation trains.
SEEDS = (0, 1, 2, 3, 4)
# How steady phases are timed.
IN_A_TURN = 1  # samples, after a call that is not kept
VERSION_EPOCHS, EPOCHS = 1, 6  # whose times are kept, after those to warm up
# What a converted checkpoint's arrays are named after.
MODEL, OPTIMIZER, STEPPED = "model/", "optimizer/", "one more step/"


def places_of_few() -> np.ndarray:
    """Return which images of the sample both precisions see, (NUM_FEW,)."""
    return np.linspace(0, NUM_IMAGES - 1, NUM_FEW).astype(int)


def as_matched(description: Description) -> Description:
    """Describe the same classifier as one of the matched division."""
    config = description.config.model_copy(update={"division": "matched"})
    return description.model_copy(update={"config": config})


def below(prefix: str, arrays: Arrays) -> Arrays:
    """Return the arrays whose names begin with `prefix`, without the prefix."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
