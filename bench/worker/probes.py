"""Jobs for the ledger: run the probes of one side and store their arrays."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from bench.processes.arms import ARMS
from bench.processes.request import ProbeDifferences, Request
from bench.processes.worker_process import ENVIRONMENT, GLIBC, Environment, run_worker
from bench.worker.job import Worker
from shared.data.dataset import open_cached
from shared.data.images import is_upright_photo
from shared.data.subsets import spread
from shared.model.weights import Arrays
from shared.sample import Sample

NUM_IMAGES = 69  # two whole batches of 32, and a last batch of 5
NUM_PHOTOS = 12
FREED_MEMORY, DEPTHWISE = "D21", "D35"
CHILD_LIMIT_S = 600


def probe_differences(worker: Worker[ProbeDifferences]) -> dict:
    """Store the arrays of this side for each difference that the request names."""
    sample, probes = _make_sample(worker), _import_probes(worker.request)
    found: Arrays = {}
    for difference in worker.request.differences or tuple(probes):
        if difference not in probes:  # it changes only the time
            continue
        with worker.stage(f"probe {difference}"):
            if difference == DEPTHWISE and worker.request.arm == "keras":
                arrays = _probe_on_jax(worker.request)
            else:
                arrays = probes[difference](sample)
            if difference == FREED_MEMORY:
                arrays = _add_glibc(worker.request, arrays)
        found |= {f"{difference}/{name}": array for name, array in arrays.items()}
    return {"path": worker.store("probes", found)}


def probe_alone(worker: Worker[ProbeDifferences]) -> dict:
    """Store the arrays of one difference. The job has a process of its own."""
    (difference,) = worker.request.differences
    probe = _import_probes(worker.request)[difference]
    return {"path": worker.store("probes", probe(_make_sample(worker)))}


def _import_probes(request: Request) -> dict[str, Callable[[Sample], Arrays]]:
    """Import the probes only when they are needed, so that timed jobs do not wait."""
    return importlib.import_module(f"{ARMS[request.arm]}.differences.probes").PROBES


def _add_glibc(request: Request, arrays: Arrays) -> Arrays:
    """Add the arrays of a process that uses the defaults of glibc's malloc."""
    if not GLIBC:
        return {}
    found = _probe_in_child(request, FREED_MEMORY, GLIBC)
    return arrays | {f"glibc/{name}": array for name, array in found.items()}


def _probe_on_jax(request: Request) -> Arrays:
    """Return the arrays of a process that runs Keras on JAX, on the CPU."""
    if not find_spec("jax"):
        return {}
    config = request.config.model_copy(update={"device": "cpu"})
    changes = {"arm": "keras-jax", "config": config}
    return _probe_in_child(request.model_copy(update=changes), DEPTHWISE)


def _probe_in_child(
    request: Request, difference: str, environment: Environment = ENVIRONMENT
) -> Arrays:
    changes = {
        "job": probe_alone.__name__,
        "differences": (difference,),
        "scratch": request.scratch / difference,
    }
    child = request.model_copy(update=changes)
    done = run_worker(child, lambda _event: None, CHILD_LIMIT_S, environment)
    return dict(np.load(done["path"]))


def _make_sample(worker: Worker[ProbeDifferences]) -> Sample:
    """Return a few test images and their files, spread over the classes."""
    request = worker.request
    data = open_cached(request.inputs.data)
    description, arrays = worker.describe(data)
    images = spread(data.splits["test"], NUM_IMAGES)
    files = [request.inputs.folders / "test" / name for name in images.files]
    photos = [file for file in files if is_upright_photo(file)]
    return Sample(
        images=images.images,
        labels=images.labels,
        photos=tuple(photos[:: max(1, len(photos) // NUM_PHOTOS)]),
        arrays=arrays,
        description=description,
        folder=request.scratch,
    )
