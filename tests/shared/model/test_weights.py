"""Every source of weights ends as the same arrays, or in a message that names it."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from shared.config import make_config
from shared.errors import UserError
from shared.model.architecture import (
    BATCH_NORM_ARRAYS,
    backbone_shapes,
    conv_layers,
    to_keras_layout,
    to_torch_layout,
)
from shared.model.numpy_backbone import compute_features, random_weights
from shared.model.weights import (
    IMAGENET_MEAN,
    initial_head,
    read_weights,
    require_file,
    save_weights,
)
from shared.preprocessing import scale_pixels


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(images):
    return random_weights(images, seed=0)


def test_backbone_has_the_published_number_of_values():
    sizes = {name: int(np.prod(shape)) for name, shape in backbone_shapes().items()}
    running = sum(size for name, size in sizes.items() if "running" in name)
    assert running == 34_112
    assert sum(sizes.values()) - running == 2_223_872


@pytest.mark.parametrize(
    ("name", "shape", "keras_shape"),
    [
        ("features.0.0.weight", (4, 3, 2, 5), (2, 5, 3, 4)),
        ("features.1.conv.0.0.weight", (6, 1, 3, 2), (3, 2, 6, 1)),
        ("head.inner.weight", (7, 2), (2, 7)),
        ("head.inner.bias", (7,), (7,)),
    ],
)
def test_layouts_are_inverses(name, shape, keras_shape):
    array = np.random.default_rng(0).normal(size=shape)
    there = to_keras_layout(name, array)
    assert there.shape == keras_shape
    np.testing.assert_array_equal(to_torch_layout(name, there), array)


def test_real_weights_bring_their_scaling(real_weights):
    found = read_weights(real_weights)
    assert found.mean == found.std == (0.5, 0.5, 0.5)
    assert {name: a.shape for name, a in found.arrays.items()} == backbone_shapes()


def test_saved_weights_come_back(weights, tmp_path):
    save_weights(weights, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    assert found.fingerprint == weights.fingerprint
    assert (found.source, found.notice) == (weights.source, weights.notice)
    assert found.licence == weights.licence != "unknown"


def test_random_weights_are_seeded_and_calibrated(images, weights):
    again = random_weights(images, seed=0)
    assert again.fingerprint == weights.fingerprint
    assert random_weights(images, seed=1).fingerprint != weights.fingerprint
    pixels = scale_pixels(images, weights.mean, weights.std)
    features = compute_features(pixels, weights.arrays)
    assert 0.1 < features.std() < 10


@pytest.mark.parametrize("below", ["", "model_weights/"])
@pytest.mark.parametrize("depthwise", ["depthwise_kernel", "kernel"])
def test_keras_file_gives_the_same_arrays(weights, tmp_path, below, depthwise):
    """Keras's names, layout and epsilon, as in its published .h5 file.

    `model.save` puts them below model_weights, with a head and the optimizer's state.
    Newer versions of Keras have another name for the kernel of a depthwise convolution.
    """
    path = tmp_path / "mobilenet.H5"
    with h5py.File(path, "w") as file:
        for layer in conv_layers():
            name = f"{layer.torch_conv}.weight"
            kind = depthwise if layer.depthwise else "kernel"
            conv = f"{layer.keras_conv}/{layer.keras_conv}/{kind}:0"
            file[f"{below}{conv}"] = to_keras_layout(name, weights.arrays[name])
            if below:
                file[f"optimizer_weights/Adam/{conv}"] = np.zeros(3, np.float32)
            for torch_name, keras_name in BATCH_NORM_ARRAYS.items():
                array = weights.arrays[f"{layer.torch_norm}.{torch_name}"]
                if torch_name == "running_var":
                    array = array - (1e-3 - 1e-5)
                norm = f"{layer.keras_norm}/{layer.keras_norm}/{keras_name}:0"
                file[f"{below}{norm}"] = array
        file[f"{below}dense/dense/kernel:0"] = np.zeros((1280, 2), np.float32)
    found = read_weights(path)
    assert found.mean == (0.5, 0.5, 0.5)
    assert found.licence == "unknown"
    for name, array in weights.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, atol=1e-6, err_msg=name)


SAVES_IN_EACH_FORMAT = """
import sys
import keras
model = keras.applications.MobileNetV2((96, 96, 3), weights=None)
for ending in ("h5", "weights.h5", "keras"):
    save = model.save_weights if ending == "weights.h5" else model.save
    save(f"{sys.argv[1]}/saved.{ending}")
"""


def test_each_format_that_the_installed_keras_saves_is_read(tmp_path):
    command = [sys.executable, "-c", SAVES_IN_EACH_FORMAT, tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    h5, weights_h5, whole = (
        read_weights(tmp_path / f"saved.{e}") for e in ("h5", "weights.h5", "keras")
    )
    assert h5.fingerprint == weights_h5.fingerprint == whole.fingerprint
    assert h5.arrays["features.0.0.weight"].std() > 0
    assert len(whole.classifier) == 2


def test_bfloat16_is_read(weights, tmp_path):
    """NumPy has none: it is the upper half of a float32."""
    header, body = {}, b""
    for name, array in weights.arrays.items():
        half = (array.view("<u4") >> 16).astype("<u2").tobytes()
        place = [len(body), len(body) + len(half)]
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": place}
        body += half
    head = json.dumps(header).encode()
    content = len(head).to_bytes(8, "little") + head + body
    (tmp_path / "w.safetensors").write_bytes(content)
    found = read_weights(tmp_path / "w.safetensors")
    for name, array in weights.arrays.items():
        np.testing.assert_allclose(found.arrays[name], array, rtol=2**-7, err_msg=name)


def test_names_of_data_parallel_training_are_read(weights, tmp_path):
    renamed = {f"module.{name}": array for name, array in weights.arrays.items()}
    save_file(renamed, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    np.testing.assert_equal(found.arrays, weights.arrays)


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14\n"
    for name in ("w.safetensors", "w.h5", "w.pth"):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="a Git LFS pointer"):
            require_file(tmp_path / name)
    with pytest.raises(UserError, match="a Git LFS pointer"):
        read_weights(tmp_path / "w.h5")


def test_an_array_of_the_file_is_named_as_an_example(tmp_path):
    save_file({"conv1.weight": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"arrays found: 1, .*'conv1\.weight'"):
        read_weights(tmp_path / "w.safetensors")


def test_file_without_scaling_is_taken_for_torchvision_and_says_so(weights, tmp_path):
    save_file(weights.arrays, tmp_path / "bare.safetensors")
    found = read_weights(tmp_path / "bare.safetensors")
    assert found.mean == IMAGENET_MEAN
    assert "assumed" in found.notice


def test_bad_weights_are_named(weights, tmp_path):
    first = "features.0.0.weight"
    cases = {
        "missing": {name: a for name, a in weights.arrays.items() if name != first},
        "shape": weights.arrays | {first: np.zeros((16, 3, 3, 3), np.float32)},
        "NaN": weights.arrays | {first: np.full((32, 3, 3, 3), np.nan, np.float32)},
    }
    for word, arrays in cases.items():
        path = tmp_path / f"{word}.safetensors"
        save_file(arrays, path)
        with pytest.raises(UserError, match=first) as error:
            read_weights(path)
        assert word in str(error.value)


@pytest.mark.parametrize("name", ["x.safetensors", "x.h5", "x.keras", "x.txt"])
def test_files_of_another_kind_are_refused(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(UserError, match="no such file"):
        read_weights(path)
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="Allowed are"):
        read_weights(path)


@pytest.mark.parametrize(
    "metadata",
    [{"mean": "0.5"}, {"mean": "0,nan,0"}, {"std": "1,inf,1"}, {"std": "1,0,1"}],
)
def test_bad_scaling_is_refused(weights, tmp_path, metadata):
    save_file(weights.arrays, tmp_path / "w.safetensors", metadata=metadata)
    with pytest.raises(UserError, match="three numbers"):
        read_weights(tmp_path / "w.safetensors")


def test_initial_head_is_glorot_uniform():
    head = initial_head(make_config(seed=3), num_classes=7)
    assert head["head.inner.weight"].shape == (100, 1280)
    assert head["head.output.weight"].shape == (7, 100)
    limit = np.sqrt(6 / (1280 + 100))
    assert limit * 0.99 < np.abs(head["head.inner.weight"]).max() <= limit
    assert not head["head.inner.bias"].any()
    other = initial_head(make_config(seed=4), num_classes=7)
    assert (head["head.inner.weight"] != other["head.inner.weight"]).any()
