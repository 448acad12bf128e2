"""The finished run whose classifiers are looked at."""

from dataclasses import dataclass
from pathlib import Path

from bench.records import Results, read_results
from shared.config import Config
from shared.data.dataset import ImageData
from shared.errors import UserError
from shared.model.checkpoints import read_description


@dataclass(frozen=True)
class TrainedRun:
    """A finished run with the checkpoint of each trained arm."""

    folder: Path
    results: Results
    checkpoints: dict[str, Path]

    @property
    def config(self) -> Config:
        """Return the configuration of the checkpoints, for any device."""
        first = next(iter(self.checkpoints.values()))
        return read_description(first).config.model_copy(update={"device": "auto"})


def read_run(folder: Path) -> TrainedRun:
    """Read the record of a run that trained an arm, and check its checkpoints.

    Raises:
        UserError: there is no such run, or a checkpoint cannot be used.
    """
    results = read_results(folder / "results.json")
    checkpoints = {
        name: (folder / arm.checkpoint).resolve()
        for name, arm in results.arms.items()
        if arm.test and arm.checkpoint
    }
    if not checkpoints:
        raise UserError(
            f"--run {folder}: this run has no trained classifier. Give the output "
            "folder of `python -m bench train` or `python -m bench all`."
        )
    for checkpoint in checkpoints.values():
        read_description(checkpoint)
    return TrainedRun(folder, results, checkpoints)


def require_same_data(run: TrainedRun, data: ImageData) -> None:
    """Check that a data set is the one that a run was trained on.

    Raises:
        UserError: it is another one.
    """
    trained_on = run.results.data
    if trained_on.fingerprint != data.fingerprint:
        raise UserError(
            f"--data: {data.name} does not have the images that the run in "
            f"{run.folder} was trained on ({trained_on.name}). Give that data set with "
            "--data."
        )
