"""Converting trained checkpoints: there and back, refused inputs, planted defects."""

import io
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from bench import cli
from bench.processes.agreed import MODEL, OPTIMIZER, STEPPED
from bench.processes.request import Request
from bench.processes.worker_process import run_worker
from bench.studies import conversion as convert
from shared.config import make_config
from shared.data.dataset import prepare
from shared.model.checkpoints import read_record, write_description
from shared.model.weights import Arrays

FILES = {"pytorch": "best.safetensors", "keras": "best.weights.h5"}
MOVED = {"pytorch": "moved.weights.h5", "keras": "moved.safetensors"}


@pytest.fixture(scope="module")
def run(bench, few_photos, real_weights, tmp_path_factory) -> Path:
    """Both sides trained for two epochs on real photos, with a rate that moves."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", folder)
    recipe = ("--epochs", 2, "--schedule", "cosine", "--weight-decay", 0.01)
    done = bench("train", *inputs, *recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "models"


@pytest.fixture(scope="module")
def there(bench, run, few_photos, tmp_path_factory) -> dict[str, Path]:
    """What each side's checkpoint was converted to, by the side it came from."""
    folder, found = tmp_path_factory.mktemp("there"), {}
    for arm, name in MOVED.items():
        found[arm] = folder / arm / name
        done = bench(
            "convert", run / arm / FILES[arm], found[arm], "--data", few_photos
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return found


def read(path: Path) -> Arrays:
    """Every array of a file of either kind."""
    if path.suffix == ".safetensors":
        return load_file(path)
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: np.array(item)})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize("arm", FILES)
def test_there_and_back_is_the_same_bit_for_bit(bench, run, there, arm, tmp_path):
    source, back = run / arm / FILES[arm], copy(run, arm, tmp_path / "back")
    back.write_bytes(b"half of an earlier one, which its description still fits")
    done = bench("convert", there[arm], back)  # on the embedded images
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("208", "optimizer state", "agree", "load_checkpoint", back.name):
        assert word in done.stdout
    first, second = read(source), read(back)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    records = [read_record(path) for path in (source, there[arm], back)]
    assert len({record.epoch for record in records}) == 1
    assert len({record.description.model_dump_json() for record in records}) == 1


def test_optimizer_has_the_same_names_on_both_sides(run, there):
    for arm, path in there.items():
        names = [
            {name for name in read(file) if name.startswith("optimizer_state/")}
            for file in (run / arm / FILES[arm], path)
        ]
        assert names[0] == names[1]
        assert len(names[0]) == 9


def transposed(array: np.ndarray) -> np.ndarray:
    """The same shape, filled in the order of the other layout."""
    return np.ascontiguousarray(array.T).reshape(array.shape)


@pytest.mark.parametrize(
    ("arm", "name", "defect"),
    [
        ("pytorch", "model/features.7.conv.1.0.weight", lambda a: a * 1.0001),
        ("keras", "optimizer/exp_avg/head.inner.weight", transposed),
    ],
)
def test_planted_defect_is_named_and_nothing_written(
    run, few_photos, cache, monkeypatch, capsys, tmp_path, arm, name, defect
):
    """The arrays are changed on their way from one process to the other."""
    honest = convert.run_worker

    def plant(request, *rest):
        if request.job == "take_over":
            arrays = dict(np.load(request.arrays))
            arrays[name] = defect(arrays[name])
            np.savez(request.arrays, **arrays)
        return honest(request, *rest)

    monkeypatch.setattr(convert, "run_worker", plant)
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    destination = tmp_path / "out" / MOVED[arm]
    source = run / arm / FILES[arm]
    status = cli.execute(
        "convert", [str(source), str(destination), "--data", str(few_photos)]
    )
    assert status == 1
    said = capsys.readouterr().out
    assert f"first at {name}" in said
    assert f"Not written: {destination}" in said
    assert not destination.parent.exists()


def stored() -> Arrays:
    """Small arrays under the names that the two sides store."""
    random = np.random.default_rng(0)
    names = ("features.0.0.weight", "features.0.1.bias", "head.inner.weight")
    arrays = {MODEL + name: random.normal(size=(4, 3)) for name in names}
    arrays |= {OPTIMIZER + "step": np.array(6)}
    arrays |= {OPTIMIZER + "exp_avg/head.inner.weight": random.normal(size=(4, 3))}
    arrays |= {STEPPED + "head.inner.weight": random.normal(size=(4, 3))}
    return arrays | {"logits": random.normal(size=(8, 3))}


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("model/features.0.1.bias", 1e-7),
        ("optimizer/exp_avg/head.inner.weight", 1e-7),
        ("optimizer/step", 1e-7),
        ("logits", 1e-4),
        ("one more step/head.inner.weight", 1e-5),
    ],
)
def test_each_comparison_can_fail(name, share):
    found = stored() | {name: stored()[name] * (1 + share)}
    assert all(row.passed for row in convert.compare(stored(), stored()))
    failed = [row for row in convert.compare(found, stored()) if not row.passed]
    assert [row.first_failed for row in failed] == [name]


@pytest.mark.parametrize("name", ["optimizer/step", "model/features.0.1.bias"])
def test_an_array_that_one_side_lacks_is_named(name):
    lacking = {key: array for key, array in stored().items() if key != name}
    for pair in ((lacking, stored()), (stored(), lacking)):
        failed = [row for row in convert.compare(*pair) if not row.passed]
        assert [row.first_failed for row in failed] == [name]


def test_other_classes_are_seen():
    found = stored()
    found["logits"] = -found["logits"]
    failed = [row.name for row in convert.compare(found, stored()) if not row.passed]
    assert failed == ["logits", "classes not predicted alike"]


def refused(bench, source: Path, destination: Path, *words: object, data=None) -> None:
    """It exits with 2, says so, and leaves the destination's folder as it was."""
    before = contents(destination.parent)
    more = ("--data", data) if data else ()
    done = bench("convert", source, destination, *more)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "Traceback" not in said
    for word in words:
        assert str(word) in said
    assert contents(destination.parent) == before


def contents(folder: Path) -> dict[Path, bytes] | None:
    if not folder.exists():
        return None
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def copy(run: Path, arm: str, folder: Path) -> Path:
    """A checkpoint of its own to spoil."""
    folder.mkdir(parents=True)
    for name in (FILES[arm], "best.json"):
        shutil.copy(run / arm / name, folder)
    return folder / FILES[arm]


@pytest.mark.parametrize("arm", FILES)
def test_source_that_is_no_whole_checkpoint(bench, run, arm, tmp_path):
    destination = tmp_path / "out" / MOVED[arm]
    refused(bench, tmp_path / FILES[arm], destination, "no such file")
    source = copy(run, arm, tmp_path / "alone")
    source.with_name("best.json").unlink()
    refused(bench, source, destination, "best.json", "no such file")
    source = copy(run, arm, tmp_path / "short")
    source.write_bytes(source.read_bytes()[:-100])
    refused(bench, source, destination, "SHA-256", "cut short")
    source.write_bytes(b"neither" * 100)
    write_description(source, read_record(source).description, epoch=1)
    refused(bench, source, destination, source, "not a whole")


def test_names_of_other_kinds(bench, run, tmp_path):
    source = run / "pytorch" / FILES["pytorch"]
    for name in ("x.pth", "x.h5", "x"):
        words = (name, "*.safetensors", "*.weights.h5")
        refused(bench, source, tmp_path / name, *words)
        refused(bench, tmp_path / name, tmp_path / "x.weights.h5", *words)
    refused(bench, source, tmp_path / "x.safetensors", "same kind")
    refused(bench, source, tmp_path / "x.keras", "x.keras", "moved.weights.h5")


@pytest.mark.parametrize(
    ("arm", "change", "words"),
    [
        (
            "pytorch",
            {"classes": ("hat", "pants", "shirt", "shoes")},
            ("'head.output.weight'", "(3, 100)", "(4, 100)"),
        ),
        (
            "keras",
            {"config": make_config(inner_size=64)},
            ("'head.inner.weight'", "(100, 1280)", "(64, 1280)"),
        ),
    ],
)
def test_weights_of_another_head_are_named(bench, run, arm, change, words, tmp_path):
    source = copy(run, arm, tmp_path / "source")
    description = read_record(source).description.model_copy(update=change)
    write_description(source, description, epoch=1)
    refused(bench, source, tmp_path / "out" / MOVED[arm], source, *words)
    done = bench("export", source, "--output", tmp_path / "x.onnx")
    assert done.returncode == 2
    assert all(word in done.stderr for word in words)


def test_plain_network_of_keras_has_no_counterpart(bench, run, tmp_path):
    source = copy(run, "keras", tmp_path / "source")
    plain = {"config": make_config(division="plain")}
    description = read_record(source).description.model_copy(update=plain)
    write_description(source, description, epoch=1)
    refused(bench, source, tmp_path / "x.safetensors", "[D03]", "matched")


def test_diverged_weights_are_named(bench, run, few_photos, tmp_path):
    source = copy(run, "keras", tmp_path / "source")
    with h5py.File(source, "a") as file:
        file["layers/sequential/layers/dense/vars/1"][3] = np.nan
    write_description(source, read_record(source).description, epoch=1)
    words = ("head.inner.bias", "NaN")
    refused(bench, source, tmp_path / "x.safetensors", *words, data=few_photos)


def test_images_of_other_classes(bench, run, few_photos, tmp_path):
    source = run / "keras" / FILES["keras"]
    data = shutil.copytree(few_photos, tmp_path / "other")
    for split in ("train", "validation", "test"):
        (data / split / "shirt").rename(data / split / "skirt")
    destination = tmp_path / "out" / MOVED["keras"]
    refused(bench, source, destination, "skirt", "shirt", "--data", data=data)
    refused(bench, source, destination, "no such folder", data=tmp_path / "none")


def test_what_stands_at_the_destination(bench, run, tmp_path):
    source = run / "pytorch" / FILES["pytorch"]
    beside = copy(run, "pytorch", tmp_path / "beside")
    destination = beside.with_name("best.weights.h5")
    refused(bench, beside, destination, "best.json", "belongs to best.safetensors")
    destination = tmp_path / "file" / "moved.weights.h5"
    destination.parent.mkdir()
    destination.write_bytes(b"mine")
    refused(bench, source, destination, "no checkpoint", "moved.json")
    for change, word in (
        ({"classes": ("hat", "pants", "skirt")}, "skirt"),
        ({"config": make_config(inner_size=64)}, "inner_size 64"),
    ):
        description = read_record(source).description.model_copy(update=change)
        write_description(destination, description, epoch=1)
        refused(bench, source, destination, "another classifier", word)


def test_conversion_as_a_function_of_an_older_checkpoint(
    run, few_photos, cache, tmp_path
):
    """Without optimizer state: the classifier is whole, and what is missing is said."""
    source = copy(run, "keras", tmp_path / "source")
    with h5py.File(source, "a") as file:
        del file["optimizer_state"]
    write_description(source, read_record(source).description, epoch=1)
    images = prepare(str(few_photos), make_config(), cache=cache).folder
    asked = []

    def ask(request: Request) -> dict:
        asked.append(request.arm)
        return run_worker(request, lambda _event: None, 600)

    what = source, images, tmp_path, ask
    conversion = convert.take(*what, convert.give(*what))
    assert conversion.passed
    assert asked == ["keras", "pytorch"]
    rows = {row.name: row.value for row in conversion.differences}
    assert rows.keys() == {"weights", "logits", "classes not predicted alike"}
    assert 0 < rows["logits"] <= convert.LOGIT_TOLERANCE
    assert list(conversion.counts.values()) == [52, 208, 4, 0]
    names = load_file(conversion.checkpoint).keys()
    assert not [name for name in names if name.startswith("optimizer_state")]
    said = io.StringIO()
    convert.print_conversion(conversion, tmp_path / "x.safetensors", Console(file=said))
    assert "none: the source has none" in said.getvalue()
