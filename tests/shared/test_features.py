"""Features in a file or in memory, batch after batch."""

import numpy as np
import pytest

from shared.features import store_features

ROWS = np.arange(21, dtype=np.float32).reshape(7, 3)
BATCHES = (ROWS[:3], ROWS[3:6], ROWS[6:])


def test_features_are_the_same_in_memory_and_in_a_file(tmp_path):
    path = tmp_path / "features.npy"
    in_file = store_features(iter(BATCHES), 7, path)
    in_memory = store_features(iter(BATCHES), 7)
    for found in (in_file, in_memory, np.load(path)):
        np.testing.assert_array_equal(found, ROWS)
        assert found.dtype == np.float32
    assert isinstance(in_file, np.memmap)
    assert not isinstance(in_memory, np.memmap)


@pytest.mark.parametrize("expected", [6, 8])
def test_another_number_of_images_is_an_error(expected):
    with pytest.raises(ValueError, match=r"could not broadcast|7 images came"):
        store_features(iter(BATCHES), expected)
