"""The decode cache: a data set decoded once, as arrays that any process can map."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock, Timeout

from shared.data.images import BadImage, Resize, decode_image
from shared.errors import UserError
from shared.files import explained, require_free_space, require_writable, sha256_of
from shared.machine import num_cores

FORMAT_VERSION = 2  # goes up whenever decode_image or the layout of an entry changes

SPLITS = ("train", "validation", "test")
Files = dict[str, dict[str, Path]]  # split -> 'class/name.jpg' -> where it lies
Progress = Callable[[str, int, int], None]  # description, done, total (0: unknown)
Decode = Callable[[Path], np.ndarray | str]  # the image, or why there is none
Digests = dict[str, str]  # 'split/class/name.jpg' -> SHA-256 of the file's bytes

NUM_THREADS = min(8, num_cores())  # a 100-megapixel photo takes 300 MB in each
CHUNK = 32 * NUM_THREADS  # bounds the images in memory, and the wait after Ctrl-C


def listed(lines: Iterable[str], most: int = 20) -> str:
    """Return one indented line for each; past `most`, only their number."""
    lines = list(lines)
    hidden = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join(f"  {line}" for line in lines[:most] + hidden)


def digest_files(files: Files, progress: Progress) -> Digests:
    """Return the SHA-256 of each file; "unreadable" where there is none."""
    names = [f"{split}/{name}" for split in files for name in files[split]]
    paths = [path for split in files.values() for path in split.values()]
    digests = _in_threads(_digest, paths, partial(progress, "Reading images"))
    return dict(zip(names, digests, strict=True))


def fingerprint(digests: Digests) -> str:
    """Return the SHA-256 over the names and bytes of all files."""
    content = json.dumps(sorted(digests.items()))
    return hashlib.sha256(content.encode()).hexdigest()


def decode_files(
    files: Files,
    size_px: int,
    content_fingerprint: str,
    cache: Path,
    *,
    resize: Resize = "squeeze",
    skip_bad_images: bool,
    progress: Progress,
) -> Path:
    """Return the cache entry that holds `files`, decoded now if it is not there yet.

    Raises:
        UserError: images that cannot be decoded and `skip_bad_images` is off, a class
            without one good image, or no space in the cache.
    """
    recipe = [FORMAT_VERSION, PIL.__version__, size_px, content_fingerprint]
    if resize != "squeeze":  # entries of squeezed images are older than the choice
        recipe.append(resize)
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()
    entry = cache / "decoded" / key[:32]

    def build(folder: Path) -> None:
        num_images = sum(map(len, files.values()))
        require_free_space(folder, num_images * size_px * size_px * 3)
        guessed: dict[Path, int] = {}
        decode = partial(_decode_or_reason, size_px, resize, guessed)
        bad = _write_arrays(folder, files, decode, size_px, progress)
        if bad and not skip_bad_images:
            raise _bad_images(bad)
        good = _without(files, bad)
        if bad:  # the number of images stands at the head of each file: write anew
            _write_arrays(folder, good, decode, size_px, progress)
        index = _index(good) | {"image_size_px": size_px, "skipped": bad}
        index["guessed"] = [
            (f"{split}/{name}", guessed[path])
            for split, paths in good.items()
            for name, path in paths.items()
            if path in guessed
        ]
        index["fingerprint"] = content_fingerprint
        (folder / "index.json").write_text(json.dumps(index))

    build_folder(entry, build, progress, is_whole=_is_sound)
    bad = open_entry(entry)[0]["skipped"]
    if bad and not skip_bad_images:  # an earlier run was told to leave them out
        raise _bad_images(bad)
    return entry


def open_entry(entry: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Open a cache entry without reading it.

    Returns:
        its index (classes, files and labels by split, skipped, guessed, fingerprint)
        and, by split, uint8 (N, H, W, 3) arrays mapped from disk.

    Raises:
        ValueError, OSError: the entry is missing, damaged, or not of this format.
    """
    index = json.loads((entry / "index.json").read_text())
    arrays = {}
    for split, names in index["files"].items():
        arrays[split] = np.load(entry / f"{split}.npy", mmap_mode="r")
        shape = (len(names), index["image_size_px"], index["image_size_px"], 3)
        found = (arrays[split].shape, arrays[split].dtype, len(index["labels"][split]))
        if found != (shape, np.uint8, len(names)):
            raise ValueError(f"{entry}: {split} does not fit the index")
    return index, arrays


def build_folder(
    folder: Path,
    build: Callable[[Path], None],
    progress: Progress,
    is_whole: Callable[[Path], bool] = Path.is_dir,
) -> Path:
    """Let `build` fill a new folder that takes its name only once it is complete.

    Of several processes one builds and the others use its result.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    if is_whole(folder):
        return folder
    require_writable(folder.parent)
    with _only_builder(folder.parent, progress):
        if is_whole(folder):
            return folder
        # Whoever holds the lock knows that the owners of these are dead.
        for abandoned in folder.parent.glob(".building-*"):
            shutil.rmtree(abandoned)
        temporary = folder.with_name(f".building-{folder.name}")
        try:
            temporary.mkdir()
            build(temporary)
            shutil.rmtree(folder, ignore_errors=True)  # damaged, or not there
            temporary.rename(folder)
        except OSError as error:
            raise explained(error, folder.parent) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


@contextmanager
def _only_builder(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when its process dies."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"Waiting for another run that fills {folder}", 0, 0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_sound(entry: Path) -> bool:
    try:
        open_entry(entry)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _digest(path: Path) -> str:
    try:
        # Reading a pipe would wait for someone to write into it.
        return sha256_of(path) if path.is_file() else "unreadable"
    except OSError:  # decoding reports it with its reason
        return "unreadable"


def _in_threads(function, items: list, report: Callable[[int, int], None]) -> Iterator:
    """`map` over threads, which pays since Pillow and hashlib release the GIL."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for start in range(0, len(items), CHUNK):
            report(start, len(items))
            yield from pool.map(function, items[start : start + CHUNK])
    report(len(items), len(items))


def _write_arrays(
    folder: Path, files: Files, decode: Decode, size_px: int, progress: Progress
) -> list[tuple[str, str]]:
    """Decode every split into `folder`; return (file, reason) of the bad images."""
    bad = []
    for split, paths in files.items():
        report = partial(progress, f"Decoding {split} images")
        shape = (len(paths), size_px, size_px, 3)
        reasons = _write_array(folder / f"{split}.npy", paths, decode, shape, report)
        bad += [(f"{split}/{name}", reason) for name, reason in reasons]
    return bad


def _write_array(
    file: Path,
    paths: dict[str, Path],
    decode: Decode,
    shape: tuple[int, ...],
    report: Callable[[int, int], None],
) -> list[tuple[str, str]]:
    """Decode `paths` into one .npy row by row; return (name, reason) of the bad ones.

    A file and no memory map: writing to a map on a full disk kills the process.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    bad = []
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for name, image in zip(
            paths, _in_threads(decode, list(paths.values()), report), strict=True
        ):
            if isinstance(image, str):
                bad.append((name, image))
            else:
                out.write(image.data)
    return bad


def _decode_or_reason(
    size_px: int, resize: Resize, guessed: dict[Path, int], path: Path
) -> np.ndarray | str:
    try:
        return decode_image(path, size_px, resize, partial(guessed.__setitem__, path))
    except BadImage as reason:
        return str(reason)


def _bad_images(bad: list[tuple[str, str]]) -> UserError:
    lines = listed(f"{file}: {reason}" for file, reason in bad)
    return UserError(
        f"{len(bad)} image(s) cannot be decoded:\n{lines}\n"
        "Mend or remove them, or leave them out with --skip-bad-images."
    )


def _without(files: Files, bad: list[tuple[str, str]]) -> Files:
    dropped = {file for file, _ in bad}
    good = {
        split: {name: paths[name] for name in paths if f"{split}/{name}" not in dropped}
        for split, paths in files.items()
    }
    lost = [
        f"{split}/{label}"
        for split, paths in files.items()
        for label in sorted(_classes(paths) - _classes(good[split]))
    ]
    if lost:
        raise UserError(
            f"Without the bad images these classes are empty:\n{listed(lost)}\n"
            f"Every class needs an image in every split.\n{_bad_images(bad)}"
        )
    return good


def _index(files: Files) -> dict:
    classes = sorted(_classes(files["train"]))
    return {
        "classes": classes,
        "files": {split: list(paths) for split, paths in files.items()},
        "labels": {
            split: [classes.index(name.split("/")[0]) for name in paths]
            for split, paths in files.items()
        },
    }


def _classes(names: Iterable[str]) -> set[str]:
    return {name.split("/")[0] for name in names}
