"""Downloads that resume, are checked, and fail fast where there is no network."""

import queue
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests
from filelock import FileLock

from shared.data.cache import (
    Files,
    Progress,
    build_folder,
    digest_files,
    fingerprint,
)
from shared.errors import UserError
from shared.files import explained, require_writable, sha256_of

CONNECT_S = 10  # to each address of a host
READ_S = 30  # between two pieces of an answer
ANSWER_S = 20  # until the answer begins, all addresses and name look-up together
HURRIED_S = 5  # the same, once a host could not be reached
ATTEMPTS = 4  # connections that break half-way are resumed
PIECE_BYTES = 2**16  # what a broken connection loses at most
INSTEAD = "Try again later, or give a copy of your own with --data or --weights."

DATASET_NAME = "clothing-dataset-small"
DATASET_COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"
DATASET_URL = (
    f"https://github.com/alexeygrigorev/{DATASET_NAME}/archive/{DATASET_COMMIT}.zip"
)
# Of the extracted images: GitHub does not promise stable archive bytes.
DATASET_FINGERPRINT = "5c0252986ea1a377d89fc2bebac84f00ce5252b0f1ed4b0daf024451a92585bf"
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
    """The host cannot be reached at all; another source may take over."""


class _Broken(Exception):
    """The connection broke after the answer began."""


# Without a network no host answers: the first is waited for, the others hardly.
_unreachable = threading.Event()


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
        return build_folder(
            folder, lambda new: _unpack(archive, new, progress), progress
        )
    finally:
        archive.unlink(missing_ok=True)  # used up, or of no use


def download_weights(name: str, cache: Path, progress: Progress) -> Path:
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
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _append(_connect(url, part), part, report)
            return
        except _Broken as error:
            if attempt == ATTEMPTS:
                raise UserError(
                    f"{url}: the connection broke {ATTEMPTS} times ({error}). What "
                    f"came is kept in {part}: run the same command to go on."
                ) from error


def _connect(url: str, part: Path) -> requests.Response:
    """Open the answer, from where `part` ends.

    In a thread, as no option of requests limits name look-up or many addresses. And
    requests itself, as pooch has no resume and empties the file first.
    """
    size = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # a range of the file, not of its gzip
    if size:
        headers["Range"] = f"bytes={size}-"
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:
        limits = (CONNECT_S, READ_S)
        try:
            answers.put(requests.get(url, headers=headers, stream=True, timeout=limits))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    limit_s = HURRIED_S if _unreachable.is_set() else ANSWER_S
    try:
        answer = answers.get(timeout=limit_s)
    except queue.Empty:
        _unreachable.set()
        raise NoNetwork(f"{url}: no answer within {limit_s} s. {INSTEAD}") from None
    if isinstance(answer, requests.ConnectionError):
        _unreachable.set()
        raise NoNetwork(
            f"{url}: no connection ({_cause(answer)}). {INSTEAD}"
        ) from answer
    if isinstance(answer, Exception):
        raise UserError(f"{url}: {answer}.") from answer
    return answer


def _cause(error: BaseException) -> str:
    """Return the innermost reason; the outer layers repeat the address."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error)


def _append(
    response: requests.Response, part: Path, report: Callable[[int, int], None]
) -> None:
    start = _start_of(response, part)
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else 0
    try:
        with response, part.open("ab" if start else "wb") as out:
            for piece in response.iter_content(PIECE_BYTES):
                out.write(piece)
                report(out.tell(), total)
    except requests.RequestException as error:  # an OSError too, hence first
        raise _Broken(error) from error
    except OSError as error:
        raise explained(error, part.parent) from error


def _start_of(response: requests.Response, part: Path) -> int:
    """Return where in the file the answer begins; 0 if the server starts anew."""
    status = response.status_code
    start = part.stat().st_size if status == 206 else 0
    span = response.headers.get("Content-Range", "")
    if status == 416 or (start and not span.startswith(f"bytes {start}-")):
        part.unlink()
        raise _Broken("the server does not go on where the last try ended")
    if status >= 400:
        raise UserError(f"{response.url}: HTTP {status} {response.reason}. {INSTEAD}")
    return start


def _require_sha256(url: str, part: Path, expected: str | None) -> None:
    found = sha256_of(part)
    if expected and not found.startswith(expected):
        part.unlink()
        raise UserError(
            f"{url}: SHA-256 is {found}, expected {expected}. The file is deleted; "
            "try again, or fetch it by hand from a network you trust."
        )


def _unpack(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack without the archive's outermost folder, and check the images.

    Raises:
        UserError: no zip file, more than MAX_EXTRACTED_BYTES, or other images than the
            pinned ones.
    """
    progress(f"Unpacking {archive.name}", 0, 0)
    whole = folder / "archive"
    try:
        with zipfile.ZipFile(archive) as opened:
            _require_size(opened)
            opened.extractall(whole)  # which lets no name lead out of the folder
    except zipfile.BadZipFile as error:
        raise UserError(f"{DATASET_URL}: no sound zip file ({error}).") from error
    for path in list(whole.glob("*/*")):
        path.rename(folder / path.name)
    shutil.rmtree(whole)
    found = fingerprint(digest_files(_images(folder), progress))
    if found != DATASET_FINGERPRINT:
        raise UserError(
            f"{DATASET_URL}: the images have the fingerprint {found}, expected "
            f"{DATASET_FINGERPRINT}. Try again, or give a folder with --data."
        )


def _require_size(opened: zipfile.ZipFile) -> None:
    size = sum(info.file_size for info in opened.infolist())  # no more is unpacked
    if size > MAX_EXTRACTED_BYTES:
        raise UserError(
            f"{DATASET_URL}: unpacks to {size / 2**20:.0f} MiB, "
            f"{MAX_EXTRACTED_BYTES / 2**20:.0f} MiB are allowed."
        )


def _images(folder: Path) -> Files:
    return {
        split: {
            path.relative_to(folder / split).as_posix(): path
            for path in (folder / split).glob("*/*")
        }
        for split in ("train", "validation", "test")
    }
