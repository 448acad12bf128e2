"""Measure time and memory of a training on 1, 2, 4, 8 and 10 times the images."""

import shutil

from bench.judging.comparison import MIN_PASS_IMAGES, memory_growth
from bench.processes.request import Train
from bench.processes.worker_process import ArmFailed
from bench.records import ArmRecord, ScalingPoint, ScalingRecord
from bench.run.state import Run, work
from shared.clock import now
from shared.data.dataset import prepare
from shared.data.folders import link_images

MULTIPLES = (1, 2, 4, 8, 10)


def measure_scaling(run: Run) -> None:
    """Decode and train on more and more images, and record time and memory.

    Every copy of an image is a separate file with its own place in a new decode cache,
    so that the copies share nothing.
    """
    record = run.scaling = ScalingRecord()
    for multiple in MULTIPLES:
        folder, cache = run.scratch / f"images-{multiple}", run.scratch / "cache"
        run.display.say(f"scaling: {multiple} times the images")
        link_images(run.data, folder, copies=multiple)
        start = now()
        progress = run.display.show
        data = prepare(str(folder), run.options.config, cache=cache, progress=progress)
        decoding = now() - start
        for arm in run.options.arms:
            inputs = run.inputs.model_copy(update={"data": data.folder.resolve()})
            request = Train(
                arm=arm,
                config=run.options.config,
                scratch=run.scratch / arm,
                inputs=inputs,
                models=run.models,
            )
            try:
                done = work(run, request)
            except ArmFailed as reason:
                run.miss(f"scaling, {multiple} times the images, {arm}: {reason}")
                continue
            trained = ArmRecord.model_validate(done["arm"])
            point = ScalingPoint(
                arm=arm,
                images=sum(len(split.labels) for split in data.splits.values()),
                decoding_s=decoding,
                stages=trained.stages,
                memory=trained.memory,
                one_pass=trained.one_pass,
                test_accuracy=trained.test.accuracy,
            )
            record.points.append(point)
        shutil.rmtree(cache)
    for arm, points in record.by_arm.items():
        if not memory_growth(points):
            run.not_run.append(
                f"growth of {arm}'s memory: it is measured only on Linux or a GPU, and "
                "only if a pass that computes features has enough images: its last "
                f"three quarters need {MIN_PASS_IMAGES:,} images or more"
            )
