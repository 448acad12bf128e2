"""Let both plain programs follow one image, and describe what each step makes of it."""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.lesson.source import SIDES
from bench.processes.request import FollowImage
from bench.processes.worker_process import run_worker
from bench.run.display import Display
from bench.run.inputs import prepare_weights
from shared.config import make_config
from shared.data.dataset import prepare
from shared.data.images import encode_thumbnail
from shared.data.synthetic import CLASSES, draw_image
from shared.errors import UserError
from shared.metrics import max_scaled_diff
from shared.model.weights import Arrays, save_weights

TIME_LIMIT_S = 1800
NUM_MAPS, THUMBNAIL_PX, MAP_PX = 8, 224, 96
SAYS = {
    "photo": "The photo as it lies in its file. load_img() and img_to_array() of Keras "
    "make numbers with a point of it; Pillow's image has whole numbers.",
    "square": "The photo becomes a square. Both programs resize a single photo with "
    "Pillow, so that nothing differs yet.",
    "normalised": "The pixels get the scale that the pretrained weights expect. From "
    "here on, PyTorch has the channels first, Keras last.",
    "batch": "A network takes batches; this is a batch of one.",
    "first block": "The first convolution, with batch norm and ReLU6. Keras pads such "
    "a convolution at the bottom and at the right, PyTorch on all sides, so the two "
    "see the image shifted by a pixel.",
    "features": "The whole frozen backbone, and the mean over all places.",
    "hidden": "The hidden layer of the head, with ReLU. Both sides got the same first "
    "values here; by itself, each framework draws its own.",
    "logits": "One number for each class, before any softmax. The head is not trained.",
    "probabilities": "Softmax of the logits.",
}
ENTRIES = {
    "square": ("D24", "D25"),
    "normalised": ("D04", "D06"),
    "first block": ("D02", "D03", "D05"),
    "hidden": ("D07",),
    "logits": ("D13",),
}
LAYOUTS = {  # of PyTorch and of Keras, by the number of axes
    "photo": ("H, W, C", "H, W, C"),
    "square": ("H, W, C", "H, W, C"),
    "normalised": ("C, H, W", "H, W, C"),
    "batch": ("N, C, H, W", "N, H, W, C"),
    "first block": ("N, C, H, W", "N, H, W, C"),
}


@dataclass(frozen=True)
class Step:
    """What one step makes of the image on both sides.

    Attributes:
        arrays: by side, in the side's own layout.
        layouts: the names of the axes, by side.
        difference: the largest one, as a share of PyTorch's largest value, with the
            axes in the same order.
        pictures: base64 JPEGs, by side.
    """

    name: str
    says: str
    entries: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    layouts: dict[str, str]
    difference: float
    pictures: dict[str, list[str]]


def follow_image(
    photo: Path | None, weights: str | None, display: Display
) -> list[Step]:
    """Return what every step of both plain programs makes of a photo.

    Args:
        photo: an image file; None draws one.
        weights: as of the other commands.

    Raises:
        UserError: there is no such file, or no weights.
        ArmFailed: a framework could not do its part.
    """
    if photo and not photo.is_file():
        raise UserError(f"--photo {photo}: there is no such file.")
    config = make_config(device="cpu")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        data = prepare("synthetic", config) if weights == "random" else None
        found = prepare_weights(weights, config, data, display)
        save_weights(found, scratch / "weights.safetensors")
        arrays = {
            side: _follow(side, photo or _draw(scratch), scratch, display)
            for side in SIDES
        }
    return [_make_step(name, arrays) for name in arrays["pytorch"]]


def _draw(scratch: Path) -> Path:
    path = scratch / "photo.png"
    draw_image("dress", np.random.default_rng(0)).save(path)
    return path


def _follow(side: str, photo: Path, scratch: Path, display: Display) -> Arrays:
    request = FollowImage(
        arm=side,
        config=make_config(device="cpu"),
        scratch=scratch / side,
        photo=photo.resolve(),
        weights=scratch / "weights.safetensors",
        num_classes=len(CLASSES),
    )
    request.scratch.mkdir()
    done = run_worker(request, partial(display.on_event, side), TIME_LIMIT_S)
    return dict(np.load(done["arrays"]))


def _make_step(name: str, arrays: dict[str, Arrays]) -> Step:
    own = {side: found[name] for side, found in arrays.items()}
    layouts = dict(zip(SIDES, LAYOUTS.get(name, ("N, units",) * 2), strict=True))
    common = {side: _channels_last(own[side], layouts[side]) for side in SIDES}
    spread = common["pytorch"].std(axis=tuple(range(common["pytorch"].ndim - 1)))
    channels = np.argsort(spread)[::-1][:NUM_MAPS]
    return Step(
        name,
        SAYS[name],
        ENTRIES.get(name, ()),
        own,
        layouts,
        max_scaled_diff(common["keras"], common["pytorch"]),
        {side: _pictures(name, common[side], channels) for side in SIDES},
    )


def _channels_last(values: np.ndarray, layout: str) -> np.ndarray:
    """Return values with their axes in Keras's order. [D04]"""
    axes = layout.split(", ")
    return np.moveaxis(values, axes.index("C"), -1) if "C" in axes else values


def _pictures(name: str, values: np.ndarray, channels: np.ndarray) -> list[str]:
    """Return an image as one picture, and some feature maps as one picture each.

    Args:
        channels: those whose maps are shown.
    """
    if name in ("photo", "square", "normalised"):
        return [encode_thumbnail(_to_pixels(values), THUMBNAIL_PX)]
    if name != "first block":
        return []
    maps = [_to_pixels(values[0, ..., channel]) for channel in channels]
    return [
        encode_thumbnail(np.asarray(Image.fromarray(one).convert("RGB")), MAP_PX)
        for one in maps
    ]


def _to_pixels(values: np.ndarray) -> np.ndarray:
    """Stretch values to 0..255, uint8."""
    low, high = float(values.min()), float(values.max())
    return (255 * (values - low) / (high - low or 1)).astype(np.uint8)
