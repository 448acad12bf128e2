"""ONNX files of strangers: each fault gives one message, and no harm."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from bench.onnx_runtime import OnnxClassifier
from bench.use.predict import predict
from shared.data.images import decode_image
from shared.errors import UserError

SIZE = 8
METADATA = {
    "classes": '["hat", "shirt"]',
    "mean": "[0.5, 0.5, 0.5]",
    "std": "[0.5, 0.5, 0.5]",
    "image_size_px": str(SIZE),
    "layout": "NHWC",
}


def write_model(
    path: Path,
    metadata: dict[str, str | bytes | None],
    image: tuple[int, ...] = (SIZE, SIZE, 3),
    names: tuple[str, str] = ("input", "logits"),
    kind: int = TensorProto.FLOAT,
    bias: tuple[float, ...] = (0.0, 1.0),
) -> Path:
    """A linear classifier of pixels; None leaves a metadata value out."""
    first, last = names
    weights = np.zeros((int(np.prod(image)), len(bias)))
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", [first], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights", "bias"], [last]),
        ],
        "classifier",
        [helper.make_tensor_value_info(first, kind, ["batch", *image])],
        [helper.make_tensor_value_info(last, kind, ["batch", len(bias)])],
        [
            numpy_helper.from_array(weights.astype(dtype), "weights"),
            numpy_helper.from_array(np.array(bias, dtype), "bias"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    values = {n: v for n, v in (METADATA | metadata).items() if v is not None}
    helper.set_model_props(model, values)
    onnx.save(model, path)
    return path


def expect_refusal(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as refusal:
        OnnxClassifier(path)
    message = str(refusal.value)
    assert message.isprintable()
    for word in (f"--model {path}", "python -m bench", *words):
        assert word in message


def test_a_sound_file_is_accepted(tmp_path):
    classifier = OnnxClassifier(write_model(tmp_path / "model.onnx", {}))
    assert classifier.classes == ["hat", "shirt"]
    images = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(classifier.logits(images), [[0, 1]] * 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in METADATA for value in (None, "", "\x1b[31m")),
        *(("classes", json.dumps(v)) for v in ("hat", ["hat", 1], ["hat", None], [])),
        *(("classes", json.dumps(v)) for v in ({"hat": 1}, [["hat"]], ["hat", ""])),
        *(("classes", v) for v in ('["hat", "shirt"', "hat, shirt", "[" * 9999)),
        ("classes", '["hat", "hat"]'),
        *(("classes", json.dumps(["hat", c])) for c in ("\x1b[2J", "a\nb", "\u202e")),
        ("classes", '["hat", "\\ud800"]'),
        *(("image_size_px", v) for v in ("0", "-8", "8.5", "many", "1e9", "9" * 5000)),
        *((n, v) for n in ("mean", "std") for v in ("0.5", "[1, 1]", "[1, 1, 1, 1]")),
        *((n, v) for n in ("mean", "std") for v in ("[NaN, 1, 1]", "[1, 1e999, 1]")),
        *((n, v) for n in ("mean", "std") for v in ('[1, "1", 1]', "[true, 1, 1]")),
        *(("std", v) for v in ("[0, 1, 1]", "[1, -1, 1]", "[1, 1, 1e-300]")),
        *(("resize", v) for v in ("", "Crop", "stretch")),
        *(("layout", v) for v in ("NCWH", "nhwc", "NHWC ")),
    ],
)
def test_malformed_metadata_are_refused(tmp_path, name, value):
    path = write_model(tmp_path / "model.onnx", {name: value})
    expect_refusal(path, f"'{name}' in its metadata is")


@pytest.mark.parametrize(
    "other",
    [
        {"bias": (0.0, 1.0, 2.0)},
        {"names": ("images", "logits")},
        {"names": ("input", "probabilities")},
        {"names": ("in\x1b[2Jput", "logits")},
        {"image": (3, SIZE, SIZE)},
        {"image": (SIZE, SIZE, 1)},
        {"image": (SIZE, SIZE)},
        {"image": (SIZE * SIZE * 3,)},
        {"image": (SIZE + 1, SIZE + 1, 3)},
        {"kind": TensorProto.DOUBLE},
    ],
)
def test_a_graph_unlike_its_metadata_is_refused(tmp_path, other):
    path = write_model(tmp_path / "model.onnx", {}, **other)
    expect_refusal(path, "its metadata needs a graph")


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x0a\x1b[2J"])
def test_what_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    expect_refusal(path)


def test_a_graph_that_fails_on_an_image_is_named(tmp_path):
    path = write_model(tmp_path / "model.onnx", {})
    model = onnx.load(path)
    model.graph.node[-1].input[0] = "sum"
    for times in (2, 3):  # copies of the batch; sums of other lengths do not exist
        repeats = numpy_helper.from_array(np.array([times, 1]), f"{times}")
        model.graph.initializer.append(repeats)
        tile = helper.make_node("Tile", ["flat", f"{times}"], [f"{times} copies"])
        model.graph.node.insert(-1, tile)
    add = helper.make_node("Add", ["2 copies", "3 copies"], ["sum"])
    model.graph.node.insert(-1, add)
    onnx.save(model, path)
    classifier = OnnxClassifier(path)
    with pytest.raises(UserError, match="onnxruntime cannot run it"):
        classifier.logits(np.zeros((1, SIZE, SIZE, 3), np.uint8))


@pytest.mark.parametrize("resize", [None, "squeeze", "crop"])
def test_images_are_prepared_as_the_model_was_trained(tmp_path, monkeypatch, resize):
    """Files of earlier versions say nothing: their images were squeezed."""
    photo, seen = tmp_path / "photo.png", []
    Image.effect_noise((30, 17), 80).save(photo)
    model = write_model(tmp_path / "model.onnx", {"resize": resize})
    logits = OnnxClassifier.logits

    def keep(classifier: OnnxClassifier, images: np.ndarray) -> np.ndarray:
        seen.extend(images)
        return logits(classifier, images)

    monkeypatch.setattr(OnnxClassifier, "logits", keep)
    list(predict([str(photo)], model))
    expected = decode_image(photo, SIZE, resize or "squeeze")
    np.testing.assert_array_equal(seen, [expected])


def test_logits_that_are_no_numbers_give_no_prediction(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    model = write_model(tmp_path / "model.onnx", {}, bias=(0.0, float("nan")))
    (prediction,) = predict([str(tmp_path / "photo.png")], model)
    assert "NaN" in prediction.problem
    assert not prediction.probabilities


def test_metadata_that_are_no_text_are_refused(tmp_path):
    path = write_model(tmp_path / "model.onnx", {})
    path.write_bytes(path.read_bytes().replace(b"shirt", b"sh\xff\xfet"))
    expect_refusal(path)
