"""`doctor` on a healthy machine, and what it says of each thing that is missing."""

import io

import pytest
from rich.console import Console

from bench import doctor
from bench.processes.worker_process import ArmFailed
from shared.errors import UserError


@pytest.fixture
def loading(monkeypatch) -> None:
    """Both arms load, without the time that it takes."""
    done = {"device": "cpu", "threads": 2}
    monkeypatch.setattr(doctor, "run_worker", lambda *_: done)


def examine() -> tuple[bool, str]:
    screen = io.StringIO()
    good = doctor.examine(Console(file=screen, width=200))
    return good, screen.getvalue()


def test_a_healthy_machine_is_well_and_needs_no_data(bench, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    done = bench("doctor", BENCH_DATA=nowhere, BENCH_WEIGHTS=nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("packages: torch", "onnxruntime: ", "pytorch: ", "keras: ", "cache: "):
        assert f"ok      {what}" in done.stdout
    assert "bench prepare" in done.stdout


def test_a_framework_that_does_not_load_is_named(bench, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('torch is [broken]')")
    done = bench("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "FAILED  pytorch: ImportError: torch is [broken]. Install" in done.stdout
    assert "ok      keras: " in done.stdout


def test_an_arm_that_crashes_does_not_hide_the_other(monkeypatch):
    def crash(request, *_):
        if request.arm == "pytorch":
            raise ArmFailed("crashed with signal 4")
        return {"device": "cpu", "threads": 2}

    monkeypatch.setattr(doctor, "run_worker", crash)
    good, screen = examine()
    assert not good
    assert "FAILED  pytorch: crashed with signal 4. Install" in screen
    assert "ok      keras: " in screen


@pytest.mark.usefixtures("loading")
def test_packages_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "jax", "no-such-package"))
    good, screen = examine()
    assert not good
    assert "FAILED  not installed: no-such-package. Install" in screen


@pytest.mark.usefixtures("loading")
def test_a_cache_that_cannot_be_written_is_the_users_to_mend(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="BENCH_CACHE"):
        examine()
