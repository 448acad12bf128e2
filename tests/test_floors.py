"""The floors of the house: each folder imports only from those below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = "bench"  # the files at the root of bench/ that are not named below

# Each floor and those that it may import; what is not named stands on top.
BELOW = {
    "shared": set(),
    "bench.records": {"shared"},
    "bench.ledger": set(),
    "bench.onnx_metadata": {"shared"},
    "bench.onnx_runtime": {"shared", "bench.records", "bench.onnx_metadata"},
}
BELOW["bench.judging"] = {"shared", "bench.records"}
BELOW["bench.report"] = {*BELOW["bench.judging"], "bench.judging", "bench.ledger"}
BELOW["bench.processes"] = {*BELOW["bench.judging"], "bench.judging"}
BELOW["bench.worker"] = {
    *("shared", "bench.records", "bench.processes"),
    "bench.onnx_runtime",
}
BELOW["bench.use"] = {"shared", "bench.onnx_runtime"}
BELOW["bench.run"] = {
    *(*BELOW["bench.processes"], "bench.processes"),
    "bench.onnx_runtime",
}
BELOW["exercises"] = {"shared"}  # its root, which loads no framework
BELOW["bench.lesson"] = {
    *(*BELOW["bench.run"], "bench.run", "bench.ledger", "exercises"),
}
BELOW["bench.studies"] = {*BELOW["bench.run"], "bench.run"}
BELOW["bench.explore"] = {*BELOW["bench.run"], "bench.run", "bench.report"}
BELOW[TOP] = {
    *(*BELOW["bench.studies"], "bench.studies"),
    *("bench.report", "bench.use", "bench.explore", "bench.lesson", "exercises", TOP),
}
FRAMEWORKS = {"torch", "torchvision", "keras", "tensorflow", "jax"}
SIDES = {"pytorch_impl", "keras_impl"}
READS_PTH = "bench.worker.files"  # the one file that needs a framework by name
NAMES_SIDES = "bench.worker.side"  # the one file that names the code of a side

Texts = dict[str, str]  # of Python files, by module


def read_texts() -> Texts:
    """Every file of shared/ and bench/, and those at the root of exercises/."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path.read_text()
        for pattern in ("shared/**/*.py", "bench/**/*.py", "exercises/*.py")
        for path in sorted(ROOT.glob(pattern))
    }


def imported(text: str, texts: Texts) -> Iterator[str]:
    """Modules that a file imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in texts else node.module


def floor_of(module: str) -> str:
    """The floor on which a module of this project lies."""
    parents = [module.rsplit(".", count)[0] for count in range(module.count(".") + 1)]
    return next(name for name in parents if name in BELOW)


def upward_imports(texts: Texts) -> list[str]:
    """Imports from a floor that does not lie below the importing one."""
    found = []
    for module, text in texts.items():
        floor = floor_of(module)
        for name in imported(text, texts):
            if name.split(".")[0] not in ("shared", "bench", "exercises"):
                continue
            if floor_of(name) not in {floor, *BELOW[floor]}:
                found.append(f"{module} imports {name}")
    return found


def circles(texts: Texts) -> list[str]:
    """Modules that import each other, or themselves, in a circle."""
    imports = {
        module: {name for name in imported(text, texts) if name in texts}
        for module, text in texts.items()
    }
    while True:
        free = {module for module, names in imports.items() if not names & {*imports}}
        if not free:
            return sorted(imports)
        imports = {module: n for module, n in imports.items() if module not in free}


def framework_imports(texts: Texts) -> list[str]:
    """Imports of a framework, or of a side, outside the files that may."""
    return [
        f"{module} imports {name}"
        for module, text in texts.items()
        for name in imported(text, texts)
        if name.split(".")[0] in FRAMEWORKS | SIDES
        and (module, name) != (READS_PTH, "torch")
        and not (module == NAMES_SIDES and name.split(".")[0] in SIDES)
    ]


CHECKS = (upward_imports, circles, framework_imports)


@pytest.mark.parametrize("check", CHECKS)
def test_house_stands(check):
    texts = read_texts()
    assert len(texts) > 60
    assert check(texts) == []


def test_every_folder_is_a_floor():
    folders = {p.parent for p in (ROOT / "bench").glob("*/*.py")}
    assert {f"bench.{folder.name}" for folder in folders} <= {*BELOW}


PLANTED = (
    (upward_imports, "shared.config", "from bench.records import Results"),
    (upward_imports, "bench.judging.checks", "import bench.studies.parity"),
    (upward_imports, "bench.processes.arms", "from bench.run.state import Run"),
    (upward_imports, "bench.run.record", "from bench.studies import parity"),
    (upward_imports, "bench.studies.timing", "from bench.worker.timer import Timer"),
    (upward_imports, "bench.studies.timing", "from bench.report import write_report"),
    (upward_imports, "bench.report.cards", "from bench.run.state import Run"),
    (upward_imports, "bench.worker.files", "    from bench.report import numbers"),
    (upward_imports, "bench.report.plots", "from bench.explore import counts"),
    (upward_imports, "bench.explore.page", "from bench.worker.side import Side"),
    (upward_imports, "bench.run.state", "from bench.cli import execute"),
    (upward_imports, "exercises.judge", "from bench.ledger import read_note"),
    (upward_imports, "bench.worker.job", "from exercises.catalogue import EXERCISES"),
    (circles, "shared.config", "from shared.data.dataset import prepare"),
    (circles, "bench.records", "from bench.records import Results"),
    (framework_imports, "bench.studies.parity", "import torch"),
    (framework_imports, "bench.report.cards", "from keras import ops"),
    (framework_imports, "bench.worker.job", "from pytorch_impl import model"),
    (framework_imports, "bench.worker.side", "import torch"),
    (framework_imports, "exercises.references", "import torch"),
)


@pytest.mark.parametrize(("check", "module", "line"), PLANTED)
def test_planted_import_is_found(check, module, line):
    """At the top of a file, or in a function of it."""
    texts = read_texts()
    planted = f"def planted():\n    {line.strip()}\n" if line != line.strip() else line
    texts[module] = f"{planted}\n{texts[module]}"
    assert any(module in found for found in check(texts))
