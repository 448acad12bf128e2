"""Do the jobs of one arm in a separate process: `python -m bench.worker`.

A worker loads PyTorch or Keras, never both; Keras on another backend may still load
TensorFlow. Each line of standard input is the path of a request. An empty line grants
a turn to the running job. Progress goes to standard output, one JSON object per line.
The result is a file, which is written atomically.
"""

import json
import traceback
from collections.abc import Callable
from contextlib import ExitStack

from pydantic import TypeAdapter

from bench.processes.request import AnyRequest, Request
from bench.worker.cells import train_cells
from bench.worker.channel import follow_requests, open_channel
from bench.worker.conversion import hand_over, take_over
from bench.worker.explore import augment_image, examine_checkpoint, guess_imagenet
from bench.worker.files import (
    describe_gpu,
    export_checkpoint,
    export_trained,
    load,
    probe,
    read_pth,
)
from bench.worker.heads import compute_features, train_heads
from bench.worker.job import Worker
from bench.worker.memory import explain
from bench.worker.parity import climb_ladder
from bench.worker.probes import probe_alone, probe_differences
from bench.worker.timing import time_briefly, time_cold, time_epoch, time_steady
from bench.worker.training import train, train_exactly
from bench.worker.walk import follow_image
from shared.errors import UserError
from shared.files import write_atomically

JOBS: dict[str, Callable[..., dict]] = {
    job.__name__: job
    for job in (
        train,
        train_exactly,
        export_trained,
        export_checkpoint,
        hand_over,
        take_over,
        read_pth,
        time_cold,
        time_briefly,
        time_steady,
        probe,
        load,
        describe_gpu,
        climb_ladder,
        probe_differences,
        probe_alone,
        compute_features,
        train_heads,
        train_cells,
        time_epoch,
        augment_image,
        guess_imagenet,
        examine_checkpoint,
        follow_image,
    )
}


def _do(request: Request) -> None:
    """Do the job of a request, and write its result or its failure into a file."""
    with ExitStack() as left_in:
        try:
            result = JOBS[request.job](Worker(request, left_in))
        except UserError as error:
            result = {"user_error": str(error)}
        except Exception as error:
            traceback.print_exc()
            result = {"failed": explain(error, request.config)}
    write_atomically(request.scratch / "result.json", json.dumps(result))


def main() -> None:
    """Do the jobs that the runner requests, one after the other."""
    open_channel()
    for path in follow_requests():
        _do(TypeAdapter(AnyRequest).validate_json(path.read_bytes()))


if __name__ == "__main__":
    main()
