"""The exercises: solutions are right, and mistakes get words that lead to them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ledger import read_document, read_titles
from exercises.catalogue import EXERCISES, FOLDER, Exercise

ROOT = Path(__file__).parents[2]

# Of each exercise, likely mistakes: a piece of the solution, what stands in its place,
# and words of the finding.
WRONG = {
    "loss": (
        ("loss.item() * len(labels)", "loss.item()", "8 images in batches of 4"),
        ("len(labels)", "loader.batch_size", "the last batch has one image only"),
        ("loader.dataset", "loader", "what it is divided by"),
    ),
    "loop": (
        (
            "            optimizer.zero_grad()\n",
            "",
            "at step 2: look at what the first",
        ),
        (
            "logits, targets",
            "logits.softmax(dim=1), targets",
            "step 1: look at the loss",
        ),
        ("model.train()", "model.eval()", "dropout does nothing"),
        ("range(epochs)", "range(1)", "fit() takes 6 steps"),
    ),
    "padding": (
        ("before, 1, before, 1", "before, 1", "at block 1, with stride 1, the shape"),
        ("before, 1, before, 1", "1, before, 1, before", "first at block 2"),
        ("1 if stride == 1 else 0", "0", "at block 1, with stride 1, the shape"),
    ),
    "augmentation": (
        ("RandomRotation(10,", "RandomRotation(10 / 360,", "the unit of the angle"),
        (", v2.InterpolationMode.BILINEAR", "", "takes the nearest one"),
        (
            "torch.stack([transform(image) for image in images])",
            "transform(images)",
            "decides once for a batch",
        ),
        ("Horizontal", "Vertical", "of the images are upside down"),
    ),
    "frozen": (
        (
            "model.train()\n    backbone.eval()",
            "backbone.eval()\n    model.train()",
            "at the features of batch 1: look at the mode of batch norm",
        ),
        ("backbone.eval()", "model.eval()", "its dropout is off"),
        ("optimizer.step()", "pass", "the head learns nothing"),
        (
            "backbone.eval()",
            "backbone[1].momentum = 0.0",
            "its stored statistics are to be used",
        ),
    ),
    "export": (
        (
            'torch.export.Dim("batch")',
            "None",
            "look at the sizes",
        ),  # None: any in Keras
        ("eval()", "layers[1].bias.data.fill_(1.0)", "what the model computes"),
        (
            '{"images": {0: torch.export.Dim("batch")}}',
            "None",
            "onnxruntime refuses a batch of 1: look at the sizes",
        ),
        ("external_data=False", "external_data=True", "look at external_data"),
    ),
    "axes": (
        ("transpose(images, (0, 2, 3, 1))", "swapaxes(images, 1, 3)", "the shape"),
        ("(0, 2, 3, 1)", "(0, 3, 1, 2)", "4 rows and 6 columns, the shape"),
        (
            "transpose(images, (0, 2, 3, 1))",
            "reshape(images, (images.shape[0], *images.shape[2:], 3))",
            "rows are to stay rows",
        ),
    ),
    "scale": (
        ("offset=-mean / std", "offset=-mean", "look at what is added"),
        ("1 / (255 * std)", "1 / std", "a white pixel: it becomes (1 - mean) / std"),
        ("1 / (255 * std), offset=-mean / std", "1 / 127.5, offset=-1", "black pixel"),
    ),
    "batchnorm": (
        ("0.9", "0.1", "look at the momentum"),
        ("epsilon=1e-5, ", "", "look at epsilon"),
        ("1e-5", "1e-5, axis=1", "one mean and one variance for each channel"),
    ),
    "best": (
        ('monitor="val_accuracy", mode="max", ', "", "epoch 3, the lowest validation"),
        (", save_best_only=True", "", "each epoch overwrites the one before"),
        ('"max"', '"min"', "look at the direction"),
        ("val_accuracy", "accuracy", "where the training images do best"),
    ),
    "fit": (
        ("from_logits=True", "", "look at the loss"),
        ("batch_size=4, ", "", "look at the size of the batches"),
        (" shuffle=False,", "", "look at the order"),
        ("SGD(0.1)", "SGD()", "the learning rate"),
    ),
    "weights": (
        ("(2, 3, 1, 0)", "(3, 2, 1, 0)", "first at the layer conv"),
        ("(2, 3, 0, 1)", "(3, 2, 0, 1)", "first at the layer depthwise"),
        ("(1, 0)", "(0, 1)", "first at the layer dense"),
    ),
}
# What the starting file, as it stands, is told.
START = {
    "loss": "the last batch has one image only",
    "loop": "the model was never called",
    "padding": "appears first at block 2, with stride 2: look at the padding",
    "augmentation": "decides once for a batch",
    "frozen": "look at the mode of batch norm",
    "export": "look at external_data",
    "axes": "the shape is (2, 6, 4, 3) and must be (2, 4, 6, 3)",
    "scale": "a black pixel",
    "batchnorm": "look at epsilon",
    "best": "each epoch overwrites the one before",
    "fit": "after one step: look at the loss",
    "weights": "first at the layer conv",
}


def write_answers(exercise: Exercise, folder: Path) -> None:
    solution = exercise.solution.read_text()
    (folder / f"{exercise.name}-start.py").write_text(exercise.start.read_text())
    (folder / f"{exercise.name}-solution.py").write_text(solution)
    for number, (old, new, _) in enumerate(WRONG[exercise.name]):
        assert solution.count(old) == 1, f"{exercise.name}: {old}"
        file = folder / f"{exercise.name}-{number}.py"
        file.write_text(solution.replace(old, new))


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> Callable[[Exercise], dict]:
    """What is said about all answers; each framework is loaded once."""
    found: dict[str, dict] = {}

    def judge(exercise: Exercise) -> dict:
        framework = exercise.framework
        if framework not in found:
            folder = tmp_path_factory.mktemp(framework)
            for one in EXERCISES:
                if one.framework == framework:
                    write_answers(one, folder)
            command = [sys.executable, "-m", "tests.exercises.judge_many", str(folder)]
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            found[framework] = json.loads((folder / "findings.json").read_text())
        return found[framework]

    return judge


def of_each_exercise(test):
    return pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.name)(
        test
    )


@pytest.mark.slow
@of_each_exercise
def test_solution_is_right(exercise, findings):
    assert findings(exercise)[f"{exercise.name}-solution"] is None


@pytest.mark.slow
@of_each_exercise
def test_starting_file_is_not_yet_right(exercise, findings):
    finding = findings(exercise)[f"{exercise.name}-start"]
    assert finding is not None
    assert START[exercise.name] in finding


@pytest.mark.slow
@of_each_exercise
def test_likely_mistakes_are_led_to(exercise, findings):
    for number, (_, new, words) in enumerate(WRONG[exercise.name]):
        finding = findings(exercise)[f"{exercise.name}-{number}"]
        assert finding is not None, new
        assert words in finding, new


def test_there_are_twelve_in_both_directions_with_three_mistakes_each():
    frameworks = [exercise.framework for exercise in EXERCISES]
    assert frameworks.count("pytorch") == frameworks.count("keras") == 6
    assert {path.parent.name for path in FOLDER.glob("*/check.py")} == {*WRONG}
    assert all(len(wrong) >= 3 for wrong in WRONG.values())


@of_each_exercise
def test_exercise_has_its_task_and_names_entries_of_the_ledger(exercise):
    assert exercise.title.endswith(".")
    assert {*exercise.entries} <= set(read_titles(read_document()))
    other = {"pytorch": "keras", "keras": "torch"}[exercise.framework]
    for file in exercise.start.parent.glob("*.py"):
        assert not re.search(rf"(?m)^(import|from) {other}", file.read_text())


KERAS = """
import keras
from exercises.references import *
from shared.metrics import cross_entropy
images, kernel = draw(2, 8, 12, 3), draw(3, 3, 3, 4)
for stride in (1, 2):
    found = keras.ops.conv(images, kernel, strides=stride, padding="same")
    assert np.abs(found - convolve_same(images, kernel, stride)).max() < 1e-4
inputs = keras.Input((NUM_INPUTS,))
model = keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, use_bias=False)(inputs))
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
features, labels = draw_samples(9)
loss = model.evaluate(features, labels, batch_size=4, verbose=0)
assert abs(loss - cross_entropy(model.predict(features), labels)) < 1e-4
"""


@pytest.mark.slow
def test_references_of_the_answers_in_pytorch_are_what_keras_computes():
    command = [sys.executable, "-c", KERAS]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
