"""Downloads that resume, are checked, and fail fast where there is no network."""

import queue
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal

import requests
from filelock import FileLock

from shared.cache import Files, Progress, build_folder, fingerprint
from shared.errors import UserError
from shared.files import require_writable, sha256_of

CONNECT_S = 10  # to each address of a host
READ_S = 30  # between two pieces of an answer
ANSWER_S = 20  # until the answer begins, all addresses and name look-up together
ATTEMPTS = 4  # connections that break half-way are resumed
PIECE_BYTES = 2**18

DATASET_NAME = "clothing-dataset-small"
DATASET_COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"
DATASET_URL = (
    f"https://github.com/alexeygrigorev/{DATASET_NAME}/archive/{DATASET_COMMIT}.zip"
)
# Of the extracted images: GitHub does not promise stable archive bytes.
DATASET_FINGERPRINT = "@@"
MAX_EXTRACTED_BYTES = 2**30

# (address, SHA-256). torchvision publishes the first eight digits, in the file's name,
# and checks no more itself; Keras publishes none.
WEIGHTS = {
    "torchvision": (
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        "b0353104",
    ),
    "keras": (
        "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        None,
    ),
}


class NoNetwork(UserError):
    """The host cannot be reached at all; an embedded substitute may take over."""


class _Broken(Exception):
    """The connection broke after the answer began."""


def download_dataset(cache: Path, progress: Progress) -> Path:
    """Return the public data set's folder below `cache`, downloaded if it is not there.

    Raises:
        NoNetwork: GitHub cannot be reached.
        UserError: it answers with an error, or the images are not the expected ones.
    """
    folder = cache / f"{DATASET_NAME}-{DATASET_COMMIT[:12]}"
    if folder.is_dir():
        return folder
    archive = cache / "downloads" / f"{folder.name}.zip"
    download(DATASET_URL, archive, None, progress)
    try:
        return build_folder(folder, lambda new: _unpack(archive, new, progress), progress)
    finally:
        archive.unlink(missing_ok=True)  # used up, or of no use


def download_weights(
    name: Literal["torchvision", "keras"], cache: Path, progress: Progress
) -> Path:
    """Return the published ImageNet weights file, downloaded if it is not there.

    Raises:
        NoNetwork: the host cannot be reached.
        UserError: it answers with an error, or the file has another checksum.
    """
    url, sha256 = WEIGHTS[name]
    destination = cache / "downloads" / PurePosixPath(url).name
    return download(url, destination, sha256, progress)


def download(
    url: str, destination: Path, sha256: str | None, progress: Progress
) -> Path:
    """Fetch `url` into `destination` unless it is there; a broken try is resumed.

    `sha256` is the expected checksum or its first digits. Bytes gather in a `.part`
    file, which gets the final name once it is complete and checked.

    Raises:
        NoNetwork: no connection within CONNECT_S to each address.
        UserError: an HTTP error, a connection that keeps breaking, another checksum, or
            no space.
    """
    require_writable(destination.parent)
    part = destination.with_name(f"{destination.name}.part")
    with FileLock(f"{part}.lock"):
        if destination.is_file():
            return destination
        _fetch(url, part, lambda *bytes_: progress(f"Downloading {part.stem}", *bytes_))
        _require_sha256(url, part, sha256)
        part.replace(destination)
    return destination


def _fetch(url: str, part: Path, report: Callable[[int, int], None]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _append(_connect(url, part), part, report)
        except _Broken as error:
            if attempt == ATTEMPTS - 1:
                raise UserError(
                    f"{url}: the connection broke {ATTEMPTS} times ({error}). What "
                    f"came is kept in {part}: run the same command to go on."
                ) from error
