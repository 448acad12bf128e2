"""Constants and functions that the runner and its workers share."""

import numpy as np

from shared.config import Config
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


# Heads on stored features are trained in float64 for experiments. In float32 the
# rounding of each step grows from step to step: after ten epochs the two frameworks
# would predict different classes for some images, and so would one framework whose
# features were moved by a rounding error.
EXACT = {"precision": "float64"}


def is_on_features(config: Config) -> bool:
    """Return whether a training needs nothing but stored features."""
    return config.features_are_cached and config.fine_tuning == "off"


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
