"""Augment many copies of a spot, and find where it went."""

from types import ModuleType

import numpy as np
import torch

from exercises.expectations import expect, expect_close

COPIES, SIDE = 200, 64
# Centre of the spot, in pixels right of and below the centre of the image.
SPOT = np.array([12.0, -16.0])


def check(answer: ModuleType) -> None:
    """Read angles and flips from where the spot lies in each copy."""
    torch.manual_seed(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    spot = (np.hypot(columns - SPOT[0], rows - SPOT[1]) < 4).astype("float32")
    copies = torch.from_numpy(spot).expand(COPIES, 1, SIDE, SIDE)
    changed = answer.augment(copies)
    shape = np.zeros((COPIES, 1, SIDE, SIDE))
    expect_close(changed, shape, "the batch", "keep the shape", tolerance=2)
    images = changed.numpy()[:, 0]
    total = images.sum(axis=(1, 2))
    right = (images * columns).sum(axis=(1, 2)) / total
    below = (images * rows).sum(axis=(1, 2)) / total
    _check_decisions(right, below)
    expect(
        ((images > 0.1) & (images < 0.9)).any(),
        "every pixel of the turned spot is 0 or 1: Keras interpolates between pixels, "
        "and torchvision takes the nearest one unless you say otherwise.",
    )


def _check_decisions(right: np.ndarray, below: np.ndarray) -> None:
    """Check the place of the spot in each copy, in pixels from the centre."""
    expect(
        np.all(below < 0),
        f"{np.mean(below > 0):.0%} of the images are upside down: look at the flip.",
    )
    flipped = np.mean(right < 0)
    expect(
        flipped not in (0, 1),
        f"all of {COPIES} copies in a batch are flipped alike, or none is: a transform "
        "decides once for a batch, and Keras for each image.",
    )
    turned = np.arctan2(-below, np.abs(right)) - np.arctan2(-SPOT[1], SPOT[0])
    degrees = np.rad2deg(np.abs(turned)).max()
    expect(
        8 < degrees < 11,
        f"the largest angle in {COPIES} copies is {degrees:.1f} degrees, and Keras's "
        "10 / 360 are up to 10 degrees: look at the unit of the angle.",
    )
