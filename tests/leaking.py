"""Memory of a training worker, as it is and with a leak: `python -m tests.leaking`.

Arguments: ARM DATA WEIGHTS OUT, as tests.planted; OUT is a folder for `passes.json`,
what `one_pass` says without and with the leak.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench.processes.request import Inputs, Train
from bench.worker.job import Worker
from bench.worker.training import train
from shared.config import make_config

LEAK_BYTES = 5 * 2**20 // 1000  # for each image
SETTINGS = {"image_size_px": 32, "batch_size": 100, "epochs": 1}


def leak(worker: Worker) -> AbstractContextManager:
    """Let the pass for features keep some memory of each image, for good."""
    batches_of, kept = worker.side.inference._batches, []

    def batches(*arguments: object) -> Iterator[np.ndarray]:
        for batch in batches_of(*arguments):
            kept.append(np.ones(len(batch) * LEAK_BYTES, np.uint8))
            yield batch

    return patch.object(worker.side.inference, "_batches", batches)


def main() -> None:
    arm, data, weights, out = sys.argv[1], *map(Path, sys.argv[2:])
    request = Train(
        arm=arm,
        config=make_config(**SETTINGS),
        scratch=out,
        inputs=Inputs(data=data, weights=weights),
        models=out / "models",
    )
    passes = []
    for leaks in (False, True):
        worker = Worker(request, ExitStack())
        with leak(worker) if leaks else nullcontext():
            passes.append(train(worker)["arm"]["one_pass"])
    (out / "passes.json").write_text(json.dumps(passes))


if __name__ == "__main__":
    main()
