"""Write the record of a run, from which every report is made."""

import os
import shlex
import sys
import uuid

from bench.judging.checks import make_checks
from bench.processes.worker_process import environment_for_experiments, environment_of
from bench.records import (
    DataRecord,
    Results,
    RunRecord,
    SkippedImage,
    WeightsRecord,
    write_results,
)
from bench.run.environment import describe_environment
from bench.run.photos import make_photos
from bench.run.state import Options, Run
from shared.clock import now


def write_record(run: Run) -> Results:
    """Write the record of everything that is finished, and return it."""
    options, data, weights = run.options, run.data, run.weights
    results = Results(
        status="complete" if run.complete else "partial",
        division=options.config.division,
        run=RunRecord(
            id=uuid.uuid4().hex[:12],
            command=_command(options),
            started_at=run.started_at.isoformat(timespec="seconds"),
            seconds=now() - run.start,
            seed=options.config.seed,
        ),
        environment=describe_environment(run.threads, _variables(options), run.device),
        data=DataRecord(
            name=data.name,
            source=data.source,
            fingerprint=data.fingerprint,
            classes=list(data.classes),
            counts={name: len(split.labels) for name, split in data.splits.items()},
            skipped=[SkippedImage(file=f, reason=why) for f, why in data.skipped],
            notice=data.notice,
            warnings=data.warnings,
        ),
        weights=WeightsRecord(
            source=weights.source,
            fingerprint=weights.fingerprint,
            mean=list(weights.mean),
            std=list(weights.std),
            licence=weights.licence,
            notice=weights.notice,
        ),
        config=options.config.model_dump(),
        arms=run.arms,
        comparison=run.comparison,
        further=run.further,
        parity=run.parity,
        ledger=run.ledger,
        timing=run.timing,
        scaling=run.scaling,
        speedups=run.speedups,
        experiments=run.experiments,
        photos=make_photos(run),
        checks=make_checks(
            run.arms,
            comparisons=run.comparisons,
            parity=run.parity,
            timing=run.timing,
            scaling=run.scaling,
            speedups=run.speedups,
            experiments=run.experiments,
        ),
        not_run=run.not_run,
    )
    write_results(results, options.output / "results.json")
    return results


def _variables(options: Options) -> dict[str, str | None]:
    """Return the environment variables of the workers."""
    if options.experiments:
        return environment_for_experiments(len(options.arms))
    return environment_of(options.config)


def _command(options: Options) -> str:
    """Return the command with the environment variables that it used, to be pasted."""
    given = {"BENCH_DATA": options.data, "BENCH_WEIGHTS": options.weights}
    used = [
        f"{name}={shlex.quote(os.environ[name])}"
        for name, option in given.items()
        if option is None and os.environ.get(name)
    ]
    return " ".join([*used, shlex.join(["python", "-m", "bench", *sys.argv[1:]])])
