"""Classify images with an exported file, using only onnxruntime and Pillow."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from bench.onnx_runtime import OnnxClassifier
from shared.data.downloads import CONNECT_S
from shared.data.images import BadImage, decode_image
from shared.data.walk import walk
from shared.errors import UserError
from shared.metrics import softmax

READ_S = 30
MAX_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of one image, most probable first, or a problem with it."""

    image: str
    probabilities: dict[str, float]
    problem: str | None = None


def predict(sources: list[str], model: Path) -> Iterator[Prediction]:
    """Classify files, all files of folders, and http(s) URLs.

    In a folder, hidden and system files are left out, as they are in training.

    Raises:
        UserError: a source is missing, or the model cannot be used.
    """
    classifier = OnnxClassifier(model)
    for source in [image for given in sources for image in _expand(given)]:
        try:
            image = decode_image(
                _open(source), classifier.image_size_px, classifier.resize
            )
        except BadImage as error:
            yield Prediction(source, {}, str(error))
            continue
        logits = classifier.logits(image[None])
        if not np.isfinite(logits).all():
            yield Prediction(source, {}, "the model's logits are NaN or infinite")
            continue
        probabilities = softmax(logits)[0]
        ranking = sorted(
            zip(classifier.classes, probabilities.tolist(), strict=True),
            key=lambda pair: -pair[1],
        )
        yield Prediction(source, dict(ranking))


def _expand(source: str) -> list[str]:
    if source.startswith(("http://", "https://")):
        return [source]
    path = Path(source)
    if not path.exists():
        raise UserError(f"{source}: no such file or folder.")
    if not path.is_dir():
        return [source]
    try:
        files = [str(file) for file in walk(path)]
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}.") from error
    if not files:
        raise UserError(f"{source}: the folder contains no files.")
    return files


def _open(source: str) -> Path | io.BytesIO:
    if not source.startswith(("http://", "https://")):
        return Path(source)
    content = bytearray()
    try:
        with requests.get(source, stream=True, timeout=(CONNECT_S, READ_S)) as answer:
            answer.raise_for_status()
            for part in answer.iter_content(2**16):
                content += part
                if len(content) > MAX_BYTES:
                    raise BadImage(f"larger than {MAX_BYTES // 2**20} MiB")
    except requests.RequestException as error:
        raise BadImage(f"cannot be fetched ({error})") from error
    return io.BytesIO(content)
