"""Make the A/A control: time each arm against itself, with the usual statistics.

The control shows how far from 1 a ratio of equal times can be on this machine.
"""

from pydantic import ValidationError

from bench.judging.checks import CONTROL_PHASES
from bench.judging.comparison import compare_timing
from bench.judging.intervals import summarise
from bench.processes.agreed import EPOCHS, IN_A_TURN
from bench.records import ControlRecord
from bench.run.environment import describe_environment
from bench.run.state import Run
from bench.studies.time_arms import time_arms
from shared.files import cache_folder, write_atomically

AGAIN = ", again"
FILE = "control.json"


def run_control(run: Run) -> None:
    """Time every arm twice in each round, and keep the ratios for later reports."""
    arms = run.options.arms
    names = [arm + suffix for arm in arms for suffix in ("", AGAIN)]
    time_arms(run, names, True, lambda name: name.removesuffix(AGAIN))
    samples = run.measured.samples
    control = run.timing.control = ControlRecord(
        started_at=run.started_at.isoformat(timespec="seconds"),
        rounds=run.timing.rounds,
        machine=_machine(run),
        arms={arm: compare_timing((arm, arm + AGAIN), samples) for arm in arms},
        times={
            name: {phase: summarise(rounds, None) for phase, rounds in phases.items()}
            for name, phases in samples.items()
        },
    )
    if all(ratios.keys() >= CONTROL_PHASES for ratios in control.arms.values()):
        write_atomically(cache_folder() / FILE, control.model_dump_json(indent=1))


def read_control(run: Run) -> ControlRecord | None:
    """Return the last control of this machine with these versions and this device."""
    try:
        control = ControlRecord.model_validate_json((cache_folder() / FILE).read_text())
    except (OSError, ValidationError):  # no file, or a file of another version
        return None
    return control if control.machine == _machine(run) else None


def _machine(run: Run) -> dict:
    """Return the machine, versions and settings for which a control is valid."""
    machine = describe_environment(run.threads, device=run.device)
    return {
        "cpu": machine.cpu,
        "cpu_count": machine.cpu_count,
        "memory_bytes": machine.memory_bytes,
        "gpu": machine.gpu,
        "packages": machine.packages,
        "variables": machine.variables,
        "threads": run.threads,
        "procedure": {"samples in a turn": IN_A_TURN, "epochs": EPOCHS},
        "config": run.options.config.model_dump(
            exclude={"seed", "epochs", "timing_rounds"}
        ),
    }
