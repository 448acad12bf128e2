"""The file that describes a checkpoint."""

from pathlib import Path

import pytest

from shared.model.checkpoints import record_file


@pytest.mark.parametrize(
    ("weights", "record"),
    [
        ("best.safetensors", "best.json"),
        ("best.weights.h5", "best.json"),
        ("clothes-v1.2.safetensors", "clothes-v1.2.json"),
        ("clothes-v1.2.weights.h5", "clothes-v1.2.json"),
        ("clothes-v1.2.keras", "clothes-v1.2.json"),
    ],
)
def test_description_has_the_name_of_the_checkpoint(weights, record):
    assert record_file(Path("models", weights)) == Path("models", record)
