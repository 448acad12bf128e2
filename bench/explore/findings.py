"""What an exploration has found, before it becomes a page."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.explore.duplicates import Duplicates
from bench.explore.losses import Candidate
from bench.records import Results
from shared.data.dataset import ImageData
from shared.model.weights import Weights

# Changes of the configuration that leave one kind of augmentation switched on.
ROTATION, CROP, FLIP, ALL = "rotation", "crop", "flip", "all three"
_NO_ROTATION = {"rotation_degrees": 0.0}
_NO_CROP = {"crop_scale_min": 1.0}
_NO_FLIP = {"flip_probability": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    ROTATION: _NO_CROP | _NO_FLIP,
    CROP: _NO_ROTATION | _NO_FLIP,
    FLIP: _NO_ROTATION | _NO_CROP,
    ALL: {},
}


@dataclass(frozen=True)
class RunFindings:
    """What the classifiers of a finished run say about the images.

    Attributes:
        logits: (N, classes) by arm and split.
        explained: places of the test images that have Grad-CAM maps.
        classes: the class that each of these maps is about.
        maps: (images, h, w) by arm.
        command: the command that carries out the edited table of candidates.
    """

    results: Results
    logits: dict[str, dict[str, np.ndarray]]
    candidates: list[Candidate]
    explained: list[int]
    classes: list[int]
    maps: dict[str, np.ndarray]
    command: str


@dataclass
class Findings:
    """What can be said about a data set, and about a run if there is one.

    Attributes:
        example: place of the training image that is augmented.
        guessed: places of the test images whose ImageNet classes are guessed.
        augmented: pixels (draws, H, W, 3) from 0 to 255, by arm and variant.
        guesses: for each photo the most probable ImageNet classes, by arm.
    """

    data: ImageData
    weights: Weights
    duplicates: Duplicates
    example: int
    guessed: list[int]
    augmented: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    guesses: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    run: RunFindings | None = None
