"""The two programs are the same program: structure, and numbers on real images."""

import ast
import json
import re
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest

from bench.judging.checks import MAX_FEATURE_DIFF, MAX_LOGIT_DIFF
from bench.onnx_runtime import OnnxClassifier, compare_with_reference
from shared.config import make_config
from shared.data.dataset import ImageData
from shared.dropout import plan_dropout
from shared.metrics import max_scaled_diff, relative_distance
from shared.model.checkpoints import MOMENTS, OPTIMIZER_STATE
from shared.model.numpy_backbone import compute_features
from shared.model.weights import read_weights
from shared.preprocessing import scale_pixels
from shared.sampling import epoch_order
from tests.side import FINE_TUNING, NUM_SMALL, NUM_TEST, NUM_TRAIN, SETTINGS, few

ROOT = Path(__file__).parents[1]


def chapters(side: str) -> list[str]:
    """Every file of a side, by its place in the package."""
    package = ROOT / side
    return sorted(str(path.relative_to(package)) for path in package.rglob("*.py"))


CHAPTERS = chapters("pytorch_impl")
ARMS = ("pytorch", "keras")
# What the other side has no counterpart for, and why.
WITHOUT_TWIN = {
    "Classifier": "a functional model of Keras is made by a function",
    "update": "fit() does it in Keras",
    "add_dropout_plan": "in PyTorch an argument of forward()",
    "compile_network": "PyTorch's loop does what compile() asks for",
    "make_loss": "in PyTorch a function, cross_entropy",
    "is_mixed": "Keras's layers know it",
    "autocast": "in Keras the policy of each layer",
    "Float32Linear": "in Keras an argument of each layer",
    "make_scaler": "compile() does it in Keras",
    "train_mixed_epoch": "fit() does it in Keras",
    "in_float32": "in PyTorch what is outside of autocast",
    "policy": "in PyTorch autocast",
}
BACKENDS = "instruments/backends.py"  # PyTorch has none to choose from


def public_definitions(path: Path) -> list[tuple]:
    """Name, parameters with defaults, and first docstring line of what is public."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") or node.name in WITHOUT_TWIN:
            continue
        first_line = (ast.get_docstring(node) or "").split("\n")[0]
        function = node
        if isinstance(node, ast.ClassDef):
            function = next(
                item for item in node.body if getattr(item, "name", "") == "__init__"
            )
        names = [argument.arg for argument in function.args.args]
        defaults = [ast.unparse(value) for value in function.args.defaults]
        found.append((node.name, names, defaults, first_line))
    return found


def test_both_sides_have_the_same_files():
    assert chapters("keras_impl") == sorted([*CHAPTERS, BACKENDS])
    assert "matched/training.py" in CHAPTERS


def test_what_has_no_twin_is_there_on_one_side():
    found = [
        {
            node.name
            for path in (ROOT / side).rglob("*.py")
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        for side in ("pytorch_impl", "keras_impl")
    ]
    assert {
        name for name in WITHOUT_TWIN if sum(name in one for one in found) != 1
    } == {
        "Classifier"  # the matched Keras program has a class too
    }


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_the_same_public_functions_in_order(chapter):
    pytorch, keras = (
        public_definitions(ROOT / side / chapter)
        for side in ("pytorch_impl", "keras_impl")
    )
    assert pytorch == keras
    assert pytorch or chapter.endswith("__init__.py")


@pytest.mark.parametrize("folder", ["shared", "bench"])
def test_no_framework_is_imported(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        modules = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").split(".")[0])
        allowed = {"torch"} if path.parent.name == "worker" else set()
        assert (
            not modules & {"torch", "torchvision", "keras", "tensorflow"} - allowed
        ), path


def test_difference_ids_in_code_and_document_are_the_same():
    document = (ROOT / "docs" / "differences.md").read_text()
    documented = re.findall(r"^## (D\d\d) ", document, re.MULTILINE)
    assert documented == sorted(set(documented))
    used = {
        name
        for folder in ("shared", "bench", "pytorch_impl", "keras_impl")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"\[(D\d\d)\]", path.read_text())
    }
    assert used == set(documented)


def both(sides, name):
    return sides["pytorch"].arrays[name], sides["keras"].arrays[name]


HEAD = [
    f"head.{layer}.{kind}"
    for layer in ("inner", "output")
    for kind in ("weight", "bias")
]


@pytest.mark.parametrize("epoch", [1, 2])
def test_batches_are_equal_and_in_the_planned_order(sides, real_images, epoch):
    pytorch, keras = both(sides, f"plain_images_{epoch}")
    assert pytorch.shape == (NUM_TRAIN, 224, 224, 3)
    assert max_scaled_diff(keras, pytorch) <= 1e-6
    labels = few(real_images.splits["train"], NUM_TRAIN).labels
    planned = labels[epoch_order(NUM_TRAIN, 0, epoch)]
    for found in both(sides, f"plain_labels_{epoch}"):
        np.testing.assert_array_equal(found, planned)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("epoch", [1, 2])
def test_each_image_keeps_the_units_that_the_plan_says(sides, arm, epoch):
    """[D17] Whatever the batch and whether or not the image was moved."""
    order = epoch_order(NUM_TRAIN, 0, epoch)
    planned = plan_dropout(make_config(), NUM_TRAIN, epoch, order)
    for name in ("plain", "augmented"):
        found = sides[arm].arrays[f"{name}_kept_{epoch}"]
        np.testing.assert_array_equal(found, planned)


@pytest.mark.parametrize("epoch", [1, 2])
def test_augmented_batches_agree(sides, epoch):
    pytorch, keras = both(sides, f"augmented_images_{epoch}")
    assert max_scaled_diff(keras, pytorch) <= 1e-4
    plain = sides["pytorch"].arrays[f"plain_images_{epoch}"]
    assert np.abs(pytorch - plain).mean() > 0.05  # something was moved


@pytest.mark.parametrize("arm", ARMS)
def test_augmentation_is_exact_when_the_network_is_rounded(sides, arm):
    arrays = sides[arm].arrays
    np.testing.assert_array_equal(
        arrays["rounded_images_1"], arrays["augmented_images_1"]
    )


def test_colors_are_changed_as_torchvision_changes_them(sides):
    """One image at a time, which has one factor for all of its images."""
    expected = sides["pytorch"].arrays["torchvision_colored"]
    for found in both(sides, "colored"):
        assert found.shape == (NUM_SMALL, 64, 64, 3)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.min() == 0  # some pixels were clipped
    assert expected.max() == 255


def test_augmentation_changes_with_the_epoch(sides):
    first, second = (sides["keras"].arrays[f"augmented_images_{e}"] for e in (1, 2))
    back = [np.argsort(epoch_order(NUM_TRAIN, 0, epoch)) for epoch in (1, 2)]
    assert np.abs(first[back[0]] - second[back[1]]).mean() > 0.05


def test_backbones_agree(sides):
    pytorch, keras = both(sides, "features")
    assert pytorch.shape == (NUM_TEST, 1280)
    assert max_scaled_diff(keras, pytorch) <= MAX_FEATURE_DIFF


def test_every_block_of_the_backbone_agrees(sides):
    """In order, so that the first block that diverges is the one that fails."""
    names = sorted(name for name in sides["keras"].arrays if name.startswith("block/"))
    assert len(names) == 19
    for name in names:
        pytorch, keras = both(sides, name)
        assert relative_distance(keras, pytorch) <= 1e-5, name
        assert max_scaled_diff(keras, pytorch) <= 1e-4, name


@pytest.mark.parametrize("name", ["cam_labels", "cam_others"])
def test_grad_cam_maps_agree(sides, name):
    pytorch, keras = both(sides, name)
    assert pytorch.shape == (32, 7, 7)
    assert pytorch.min() == 0  # ReLU cuts off what speaks against the class
    assert max_scaled_diff(keras, pytorch) <= 1e-4


def test_grad_cam_maps_depend_on_the_class(sides):
    first, second = (sides["pytorch"].arrays[f"cam_{n}"] for n in ("labels", "others"))
    assert max_scaled_diff(first, second) > 0.1


@pytest.mark.parametrize("part", ["head", "whole"])
def test_gradients_agree(sides, arrays, part):
    """Of the head, and of the whole network with batch norm in inference mode."""
    pytorch, keras = both(sides, f"{part}_loss")
    assert keras == pytest.approx(pytorch, rel=1e-6)
    prefix = f"{part}_gradients/"
    found, others = (
        {name for name in sides[arm].arrays if name.startswith(prefix)} for arm in ARMS
    )
    learnt = {name for name in arrays if "running" not in name}
    if part == "head":
        learnt = {name for name in learnt if name.startswith("head.")}
    assert found == others == {prefix + name for name in learnt}
    for name in found:
        pytorch, keras = both(sides, name)
        assert pytorch.dtype == keras.dtype == np.float64
        assert relative_distance(keras, pytorch) <= 1e-8, name


def test_epochs_do_not_wait_for_a_tuner(sides):
    """[D34] Neither those of images nor those of features."""
    assert sides["keras"].arrays["tuned"].tolist() == [False] * 3


@pytest.mark.parametrize("arm", ARMS)
def test_taking_gradients_moves_nothing(sides, arm, arrays):
    """[D01] With the backbone unfrozen, batch norm's buffers still stand still."""
    for name, array in arrays.items():
        found = sides[arm].arrays[f"after_gradients/{name}"]
        np.testing.assert_array_equal(found, array, err_msg=name)


def test_backbones_agree_with_numpy(sides, real_images: ImageData, real_weights):
    """A third implementation, so that both cannot be wrong in the same way."""
    weights = read_weights(real_weights)
    images = few(real_images.splits["test"], NUM_TEST).images[:3]
    pixels = scale_pixels(images, weights.mean, weights.std)
    reference = compute_features(pixels, weights.arrays)
    for found in both(sides, "features"):
        assert max_scaled_diff(found[:3], reference) <= MAX_FEATURE_DIFF


@pytest.mark.parametrize("arm", ARMS)
def test_folding_batch_norm_leaves_the_features_as_they_are(sides, arm):
    features, folded = sides[arm].arrays["features"], sides[arm].arrays["folded"]
    assert not np.array_equal(folded, features)
    assert max_scaled_diff(folded, features) <= MAX_FEATURE_DIFF


def test_logits_agree(sides):
    pytorch, keras = both(sides, "logits")
    assert pytorch.std() > 0.1
    assert max_scaled_diff(keras, pytorch) <= MAX_FEATURE_DIFF


@pytest.mark.parametrize("arm", ARMS)
def test_arrays_come_back_as_they_went_in(sides, arm, arrays):
    built = {
        name.removeprefix("built/"): value
        for name, value in sides[arm].arrays.items()
        if name.startswith("built/")
    }
    assert built.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(built[name], array, err_msg=name)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("run", ["cached", "uncached", "augmented"])
def test_training_moves_the_head_alone(sides, arm, run, arrays):
    """[D01] Batch norm's buffers among the rest: equal, bit for bit."""
    for name, array in arrays.items():
        trained = sides[arm].arrays[f"{run}/{name}"]
        if name.startswith("head."):
            assert np.abs(trained - array).max() > 1e-4, name
        else:
            np.testing.assert_array_equal(trained, array, err_msg=name)


@pytest.mark.parametrize("arm", ARMS)
def test_drifting_batch_norm_moves_its_statistics_and_the_head(sides, arm, arrays):
    """[D01] Training on images must not fold away what is to drift."""
    for name, array in arrays.items():
        moved = np.abs(sides[arm].arrays[f"drifting/{name}"] - array).max()
        if "running" in name or name.startswith("head."):
            assert moved > 1e-6, name
        else:
            assert moved == 0, name


def test_batch_norm_drifts_alike_on_both_sides(sides, arrays):
    """[D01] [D23] Validation sees the statistics that training has left."""
    for name in ("drifting_losses", "drifting_logits"):
        pytorch, keras = both(sides, name)
        np.testing.assert_allclose(keras, pytorch, rtol=1e-8, atol=1e-8)
    for name in arrays:
        pytorch, keras = both(sides, f"drifting/{name}")
        assert relative_distance(keras, pytorch) <= 1e-6, name


def test_setting_that_lets_batch_norm_drift_is_what_the_switch_leaves_in(sides, arrays):
    """[D01] requires_grad=False alone, as most tutorials freeze."""
    found = sides["pytorch"].arrays
    for name in (*(f"/{name}" for name in arrays), "_losses"):
        np.testing.assert_array_equal(
            found[f"switched{name}"], found[f"drifting{name}"]
        )


@pytest.mark.parametrize("way", FINE_TUNING)
def test_fine_tuning_is_alike_on_both_sides(sides, way, arrays):
    """Every array after each epoch, the statistics of batch norm among them."""
    pytorch, keras = both(sides, f"{way}_losses")
    assert pytorch.shape == (3, 2)
    np.testing.assert_allclose(keras, pytorch, rtol=1e-6)
    for epoch in (1, 2, 3):
        for name in arrays:
            pytorch, keras = both(sides, f"{way}_{epoch}/{name}")
            assert relative_distance(keras, pytorch) <= 1e-6, (epoch, name)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("way", FINE_TUNING)
def test_each_phase_moves_its_blocks_alone(sides, arm, way, arrays):
    """The head first, then all blocks, or the upper half and then all."""
    found, before = sides[arm].arrays, arrays
    first_blocks = {"all": (19, 0, 0), "gradual": (19, 9, 0)}[way]
    for epoch, first_block in enumerate(first_blocks, start=1):
        after = {name: found[f"{way}_{epoch}/{name}"] for name in arrays}
        for name, array in after.items():
            moved = np.abs(array - before[name]).max()
            block = 19 if name.startswith("head.") else int(name.split(".")[1])
            if block < first_block:
                assert moved == 0, (epoch, name)
            elif not name.endswith("bias"):  # some biases have no gradient
                assert moved > 0, (epoch, name)
        before = after


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("way", FINE_TUNING)
def test_best_and_last_are_chosen_over_both_phases(sides, arm, way, arrays):
    found, folder = sides[arm].arrays, sides[arm].folder / way
    records = [json.loads((folder / f"{n}.json").read_text()) for n in ("best", "last")]
    best = int(found[f"{way}_best_epoch"])
    assert [record["epoch"] for record in records] == [best, 3]
    for name in arrays:
        kept, trained = found[f"{way}_best/{name}"], found[f"{way}_{best}/{name}"]
        np.testing.assert_array_equal(kept, trained)
    # The optimizer of the last phase has state for all that it trained.
    state = optimizer_state(sides, arm, way)
    trained = {name for name in arrays if "running" not in name}
    moments = MOMENTS["sgd" if way == "gradual" else "adam"]
    assert state.keys() == {"step"} | {f"{m}/{n}" for m in moments for n in trained}
    assert state["step"] == {"all": 2, "gradual": 1}[way] * 3  # three batches an epoch


@pytest.mark.parametrize("run", ["cached", "uncached", "augmented"])
def test_both_sides_train_alike(sides, run):
    pytorch, keras = both(sides, f"{run}_history")
    np.testing.assert_allclose(keras, pytorch, rtol=1e-5)
    for name in HEAD:
        pytorch, keras = both(sides, f"{run}/{name}")
        assert relative_distance(keras, pytorch) <= 1e-4, name


@pytest.mark.parametrize("arm", ARMS)
def test_cached_features_and_folded_batch_norm_change_nothing(sides, arm):
    found = sides[arm].arrays
    np.testing.assert_allclose(
        found["uncached_history"], found["cached_history"], rtol=1e-5
    )
    for name in HEAD:
        distance = relative_distance(found[f"uncached/{name}"], found[f"cached/{name}"])
        assert distance <= 1e-5, name


@pytest.mark.parametrize("arm", ARMS)
def test_checkpoint_gives_the_same_logits_bit_for_bit(sides, arm):
    saved, loaded = (sides[arm].arrays[f"{key}_logits"] for key in ("saved", "loaded"))
    assert saved.std() > 0.1
    np.testing.assert_array_equal(loaded, saved)


def optimizer_state(sides, arm, key):
    found = sides[arm].arrays.items()
    prefix = f"{key}_state/"
    return {n.removeprefix(prefix): a for n, a in found if n.startswith(prefix)}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("run", ["cached", "uncached"])
def test_optimizer_state_comes_back_bit_for_bit(sides, arm, run):
    """[D33] The same names whichever side saved it, and whatever Keras compiled."""
    fresh, saved, loaded = (
        optimizer_state(sides, arm, f"{run}_{key}")
        for key in ("fresh", "saved", "loaded")
    )
    moments = {f"{moment}/{name}" for name in HEAD for moment in MOMENTS["adam"]}
    assert fresh.keys() == saved.keys() == loaded.keys() == moments | {"step"}
    assert saved["step"] == 2 * 3  # epochs of three batches
    for name, array in saved.items():
        assert np.abs(array).max() > 0
        assert not fresh[name].any()
        np.testing.assert_array_equal(loaded[name], array, err_msg=name)


@pytest.mark.parametrize("run", ["cached", "uncached"])
def test_optimizers_agree(sides, run):
    pytorch, keras = (optimizer_state(sides, arm, f"{run}_saved") for arm in ARMS)
    for name, array in pytorch.items():
        assert relative_distance(keras[name], array) <= 1e-4, name


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_trains_alike(sides, setting):
    pytorch, keras = (
        {n: a for n, a in sides[arm].arrays.items() if n.startswith(f"{setting}/")}
        for arm in ARMS
    )
    assert len(pytorch) == (2 if setting == "no-hidden-layer" else 4)
    assert pytorch.keys() == keras.keys()
    for name, array in pytorch.items():
        assert relative_distance(keras[name], array) <= 1e-6, name


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_optimizer_state_of_every_setting_comes_back(sides, arm, setting):
    saved = optimizer_state(sides, arm, setting)
    again = optimizer_state(sides, arm, f"{setting}_again")
    moments = MOMENTS["sgd" if setting == "sgd" else "adam"]
    assert {name.split("/")[0] for name in saved} == {"step", *moments}
    assert saved["step"] == 2 * 5  # epochs of five batches
    for name, array in saved.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


@pytest.mark.parametrize("run", ["cached", "uncached", "augmented"])
def test_keras_checkpoint_holds_one_optimizer(sides, run):
    """[D33] Not a second one at the place that save_weights() chooses.

    What is compiled is the head, a network that has the head, the classifier.
    """
    names = []
    with h5py.File(sides["keras"].folder / run / "last.weights.h5") as file:
        file.visit(names.append)
    assert [name for name in names if name.endswith("optimizer")] == []
    assert len([name for name in names if name.startswith(OPTIMIZER_STATE)]) == 11


@pytest.mark.parametrize("arm", ARMS)
def test_training_leaves_best_and_last(sides, arm):
    suffix = {"pytorch": ".safetensors", "keras": ".weights.h5"}[arm]
    names = {path.name for path in (sides[arm].folder / "cached").iterdir()}
    assert names == {f"best{suffix}", "best.json", f"last{suffix}", "last.json"}


@pytest.mark.parametrize("arm", ARMS)
def test_best_is_the_first_maximum_of_validation_accuracy(sides, arm):
    """[D15] Keras's own ModelCheckpoint would take the lowest validation loss."""
    np.testing.assert_array_equal(sides[arm].arrays["kept_epochs"], [2, 4])


def parity(sides, arm, real_images, file):
    images = few(real_images.splits["test"], NUM_TEST).images
    graph = OnnxClassifier(sides[arm].folder / file)
    runs = {size: graph.all_logits(images, size) for size in (1, 7, 32)}
    return compare_with_reference(runs, sides[arm].arrays["logits"])


@pytest.mark.parametrize("arm", ARMS)
def test_onnx_agrees_with_its_framework(sides, arm, real_images):
    found = parity(sides, arm, real_images, "model.onnx")
    assert found.images == NUM_TEST
    assert found.max_scaled_diff <= MAX_LOGIT_DIFF
    assert found.top1_agreement == 1


@pytest.mark.parametrize("arm", ARMS)
def test_onnx_file_is_one_checked_file_with_names(sides, arm, real_images):
    model = onnx.load(sides[arm].folder / "model.onnx", load_external_data=False)
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["logits"]
    assert not any(
        t.HasField("data_location") and t.data_location for t in model.graph.initializer
    )
    classifier = OnnxClassifier(sides[arm].folder / "model.onnx")
    assert classifier.classes == list(real_images.classes)
    assert classifier.image_size_px == 224
    assert classifier.resize == "squeeze"
    cropped = OnnxClassifier(sides[arm].folder / "planted-epsilon.onnx")
    assert cropped.resize == "crop"


@pytest.mark.parametrize("arm", ARMS)
def test_onnx_check_finds_a_wrong_epsilon(sides, arm, real_images):
    found = parity(sides, arm, real_images, "planted-epsilon.onnx")
    assert found.max_scaled_diff > MAX_LOGIT_DIFF


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("place", [0, 0.3, 0.6, 1])
def test_onnx_check_finds_moved_weights(sides, arm, real_images, place):
    """One layer's weights, moved at random by 1 % of their range."""
    model = onnx.load(sides[arm].folder / "model.onnx")
    layers = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) in (2, 4)
    ]
    layer = layers[round(place * (len(layers) - 1))]
    values = onnx.numpy_helper.to_array(layer)
    reach = 0.01 * (values.max() - values.min())
    moved = values + np.random.default_rng(0).uniform(-reach, reach, values.shape)
    layer.CopyFrom(onnx.numpy_helper.from_array(moved.astype(np.float32), layer.name))
    onnx.save(model, sides[arm].folder / "planted-weights.onnx")
    found = parity(sides, arm, real_images, "planted-weights.onnx")
    assert found.max_scaled_diff > MAX_LOGIT_DIFF
