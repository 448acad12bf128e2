"""Fixtures of the tests that let fake workers answer."""

import io

import pytest
from rich.console import Console

from bench.records import GpuRecord
from bench.run.devices import Device
from bench.run.display import Display
from bench.run.state import Options, Run
from shared.config import make_config
from shared.data.dataset import prepare


@pytest.fixture
def run(few_photos, tmp_path) -> Run:
    """A run of one arm on few photos, with nothing done yet."""
    config = make_config()
    data = prepare(str(few_photos), config, cache=tmp_path / "cache")
    options = Options(config=config, arms=("pytorch",), output=tmp_path / "out")
    display = Display(Console(file=io.StringIO()))
    return Run(options, display, tmp_path / "scratch", data, None, tmp_path / "weights")


@pytest.fixture
def gpu() -> Device:
    """A device that is not there."""
    return Device(
        GpuRecord(
            index=1,
            uuid="GPU-bbbb",
            name="NVIDIA L4",
            driver="580.159.04",
            compute_capability="8.9",
        )
    )
