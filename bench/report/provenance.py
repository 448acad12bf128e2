"""Sections on the origin of the numbers: checks, gaps, data, settings, machine."""

from bench.records import DataRecord, EnvironmentRecord, Results
from bench.report.blocks import Block, Bullets, Code, Row, Table, Text
from bench.report.division import is_plain
from bench.report.numbers import DASH, fixed
from bench.report.words import GLOSSARY, checks_summary, missing
from shared.config import MATCHED_ONLY

MOST_SKIPPED = 50  # how many files the report names; results.json names all


def checks(results: Results) -> list[Block]:
    rows = [
        [one.name, f"{one.value:.4g}", one.limit, "passed" if one.passed else "FAILED"]
        for one in results.checks
    ]
    header = ["Check", "Value", "Limit", "Outcome"]
    table = [Table("", "lrrl", header, rows)] if rows else []
    return [Text(checks_summary(results)), *table]


def gaps(results: Results) -> list[Block]:
    absent, skipped = missing(results), results.data.skipped
    if not absent and not skipped:
        return [Text("Everything was run, and no image was left out.")]
    blocks: list[Block] = [Bullets(absent)] if absent else []
    if skipped:
        rows = [[one.file, one.reason] for one in skipped[:MOST_SKIPPED]]
        title = f"Images left out: {len(skipped)}"
        if len(skipped) > MOST_SKIPPED:
            title += f" (here the first {MOST_SKIPPED}; results.json has all of them)"
        blocks.append(Table(title, "ll", ["File", "Reason"], rows))
    return blocks


def inputs(results: Results) -> list[Block]:
    weights = results.weights
    facts = [
        ["Source", weights.source],
        ["Licence", weights.licence],
        ["Mean per channel", _channels(weights.mean)],
        ["Standard deviation per channel", _channels(weights.std)],
        ["Fingerprint", weights.fingerprint],
    ]
    table = Table("Weights", "ll", ["Property", "Value"], facts)
    notices = [n for n in (results.data.notice, weights.notice) if n]
    return [*map(Text, notices), Row([_data(results.data), table])]


def _data(data: DataRecord) -> Table:
    facts = [
        ["Name", data.name],
        ["Source", data.source],
        *([f"Images for {split}", f"{n:,}"] for split, n in data.counts.items()),
        ["Left out", str(len(data.skipped))],
        ["Classes", f"{len(data.classes)}: {', '.join(data.classes)}"],
        ["Fingerprint", data.fingerprint],
    ]
    return Table("Data", "ll", ["Property", "Value"], facts)


def _channels(values: list[float]) -> str:
    return ", ".join(fixed(value) for value in values)


def settings(results: Results) -> list[Block]:
    unread = MATCHED_ONLY if is_plain(results) else ()
    config = [[n, str(value)] for n, value in results.config.items() if n not in unread]
    table = Table("Configuration", "ll", ["Field", "Value"], config)
    return [Row([table, _environment(results.environment)])]


def _environment(machine: EnvironmentRecord) -> Table:
    facts = {
        "Python": machine.python,
        "Platform": machine.platform,
        "CPU": f"{machine.cpu}, {machine.cpu_count} cores",
        "Memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        **_gpu(machine),
        "Commit": machine.commit or DASH,
    }
    facts |= {f"Threads of {n}": str(t or DASH) for n, t in machine.threads.items()}
    facts |= machine.variables | machine.packages
    rows = [[name, value] for name, value in facts.items()]
    return Table("Environment", "ll", ["Property", "Value"], rows)


def _gpu(machine: EnvironmentRecord) -> dict[str, str]:
    gpu = machine.gpu_details
    if not gpu:  # or a record of an earlier version, which names only the GPU
        return {"GPU": machine.gpu or "none used"}
    facts = {
        "GPU": f"{gpu.name}, {gpu.uuid}",
        "Compute capability": gpu.compute_capability,
        "NVIDIA driver": gpu.driver,
    }
    return facts | {
        f"CUDA and cuDNN of {arm}": f"{said.cuda or DASH}, {said.cudnn or DASH}"
        for arm, said in machine.gpu_support.items()
    }


def reproduction(results: Results) -> list[Block]:
    run, commit = results.run, results.environment.commit or "unknown"
    facts = f"seed {run.seed}, {run.seconds / 60:.1f} minutes, commit {commit}"
    return [Code(run.command), Text(f"Run {run.id}, {facts}.")]


def glossary(_: Results) -> list[Block]:
    rows = [[term, meaning] for term, meaning in GLOSSARY.items()]
    return [Table("", "ll", ["Term", "Meaning"], rows)]
