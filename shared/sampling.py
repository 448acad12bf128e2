"""Random streams that depend on what they are for, and not on who drew before."""

import numpy as np

# First part of each key, so that no two purposes share a stream.
ORDER, AUGMENTATION, HEAD, BACKBONE, CALIBRATION, TIMING = range(6)
DROPOUT, LIMIT, SHARE, SPLIT = range(6, 10)


def stream(seed: int, purpose: int, *key: int) -> np.random.Generator:
    """Return a Philox generator; equal (seed, purpose, *key) give equal numbers."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([seed, purpose, *key]))
    )


def epoch_order(num_images: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of the training images in an epoch (from 1), (N,) int64.

    [D14] A full permutation, as PyTorch's DataLoader draws; Keras's directory loader
    shuffles within a buffer only.
    """
    return stream(seed, ORDER, epoch).permutation(num_images)
