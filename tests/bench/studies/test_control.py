"""The A/A control on workers that answer at once."""

import dataclasses

import numpy as np
import pytest

from bench.judging.checks import CONTROL_PHASES
from bench.processes.worker_process import ArmFailed
from bench.records import MemoryRecord
from bench.studies import time_arms
from bench.studies.control import read_control, run_control


def answer(phases: dict) -> dict:
    """What a worker returns for a timing job."""
    return {
        "phases": phases,
        "images": dict.fromkeys(CONTROL_PHASES, 32),
        "cut_short": [],
        "overhead_ms": 0.001,
        "device": "cpu",
        "threads": 2,
        "memory": MemoryRecord(peak_rss_mib=900).model_dump(),
        "operations": {},
    }


@pytest.fixture
def control(run, monkeypatch, tmp_path):
    """A run whose control has been taken, with a cache folder of its own."""
    random = np.random.default_rng(0)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def work(run, request, on_turn):  # noqa: ARG001
        assert request.arm == "pytorch"
        if request.job == "time_cold":
            return answer({"build": [30.0]})
        assert request.job == "time_steady"
        samples = 100 * random.normal(1, 0.002, size=(len(CONTROL_PHASES), 6))
        return answer(dict(zip(CONTROL_PHASES, samples.tolist(), strict=True)))

    monkeypatch.setattr(time_arms, "work", work)
    run_control(run)
    return run


def test_an_arm_is_measured_twice_in_each_round(control):
    names = {"pytorch", "pytorch, again"}
    # Five rounds of cold phases, then five of steady ones.
    assert [set(order) for order in control.measured.order] == [names] * 10
    ratios = control.timing.control.arms["pytorch"]
    assert ratios.keys() == CONTROL_PHASES | {"build"}
    assert all(one.ratio == pytest.approx(1, abs=0.01) for one in ratios.values())


def test_the_first_process_on_a_gpu_is_not_timed(run, gpu, monkeypatch):
    """The driver may compile code for minutes in it, and keeps it for the others."""
    run.device, jobs = gpu, []

    def work(run, request, on_turn=None):  # noqa: ARG001
        jobs.append(request.job)
        if len(jobs) == 1:
            raise ArmFailed("it is not timed, so nothing is lost")
        return answer({"first_step": [float(len(jobs))]})

    monkeypatch.setattr(time_arms, "work", work)
    time_arms.time_arms(run, ["pytorch"], thorough=True)
    assert jobs == ["time_briefly", *["time_cold"] * 5, *["time_steady"] * 5]
    assert min(min(run.measured.samples["pytorch"]["first_step"].values())) > 1
    assert run.failures == 0


def test_control_is_kept_for_later_runs_alike(control):
    assert read_control(control) == control.timing.control
    options = control.options
    for changes, kept in (({"timing_rounds": 1}, True), ({"compile": True}, False)):
        config = options.config.model_copy(update=changes)
        later = dataclasses.replace(
            control, options=dataclasses.replace(options, config=config)
        )
        assert (read_control(later) is not None) == kept
