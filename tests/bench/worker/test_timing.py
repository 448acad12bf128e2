"""The batch of the timed steps."""

import numpy as np

from bench.worker.timing import _as_arrays


def test_a_timed_batch_is_a_copy():
    """PyTorch's loader may pin its batches, which a GPU reads faster than Keras's."""
    images, kept = np.ones((2, 3)), np.zeros((2, 4))
    copies = _as_arrays((images, kept))
    for array, copy in zip((images, kept), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert not np.shares_memory(array, copy)
    assert not np.shares_memory(images, _as_arrays(images))
