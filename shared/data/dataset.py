"""Find the data set, check it, and hand both sides the same decoded images."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from shared.config import Config
from shared.data import cache as decode_cache
from shared.data import downloads
from shared.data.cache import Files, Progress, listed
from shared.data.copies import describe_copies
from shared.data.synthetic import SYNTHETIC_VERSION, write_dataset
from shared.data.walk import visible
from shared.errors import UserError
from shared.files import cache_folder

SPLIT_FOLDERS = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}
MOST_NAMED = 5
NO_TEXT = ("Cc", "Cs")  # Unicode's control characters, and what was not UTF-8


@dataclass(frozen=True)
class Split:
    """Images of one split in the order of (class, name)."""

    images: np.ndarray  # (N, H, W, 3) uint8, memory-mapped, read only
    labels: np.ndarray  # (N,) int64, positions in ImageData.classes
    files: tuple[str, ...]  # 'class/name.jpg', relative to the split's folder


@dataclass(frozen=True)
class ImageData:
    """A whole data set, decoded."""

    fingerprint: str  # SHA-256 over file names and bytes, whatever decodes them
    classes: tuple[str, ...]
    splits: dict[str, Split]  # train, validation, test
    skipped: tuple[tuple[str, str], ...]  # ('split/class/name.jpg', reason)
    guessed: tuple[tuple[str, int], ...]  # ('split/class/name.png', bits of its pixels)
    folder: Path  # the cache entry, for open_cached
    # Known to the run that found the data set, and not to its workers:
    name: str = ""
    source: Literal["path", "download", "synthetic"] = "path"
    notice: str | None = None  # why this is not the data set one would expect
    source_folder: Path | None = None  # where the image files lie
    copies: str | None = None  # which images are there twice where they may not be

    @property
    def warnings(self) -> list[str]:
        """Return what a reader has to know of the images before any figure."""
        found = [self.copies] if self.copies else []
        if self.guessed:
            named = [
                f"{file} ({bits} bits)" for file, bits in self.guessed[:MOST_NAMED]
            ]
            more = len(self.guessed) - len(named)
            found.append(
                "Some files store grey values in 16 or 32 bits and do not say how many "
                "of them count, so the depth was guessed from the highest value: "
                f"{', '.join(named)}{f' and {more} more' if more else ''}."
            )
        return found


def prepare(
    data: str | None,
    config: Config,
    *,
    skip_bad_images: bool = False,
    cache: Path | None = None,
    progress: Progress = lambda _description, _done, _total: None,
) -> ImageData:
    """Resolve where the images come from, check them, and decode what is not cached.

    `data` is a folder, 'synthetic', or None: then $BENCH_DATA, an earlier download, a
    download, and with no network the embedded set, with a notice. `progress` is called
    with (description, done, total), total 0 where it is unknown.

    Raises:
        UserError: no usable data set there, bad images, or no space in `cache`
            (default: `files.cache_folder()`). A named folder is never replaced.
    """
    cache = cache or cache_folder()
    source = _find_source(data, cache, progress)
    files = scan_folder(source["source_folder"])
    digests = decode_cache.digest_files(files, progress)
    fingerprint = decode_cache.fingerprint(digests)
    entry = decode_cache.decode_files(
        files,
        config.image_size_px,
        fingerprint,
        cache,
        resize=config.resize,
        skip_bad_images=skip_bad_images,
        progress=progress,
    )
    found = open_cached(entry)
    used = [f"{s}/{name}" for s, split in found.splits.items() for name in split.files]
    copies = describe_copies({name: digests[name] for name in used})
    return replace(found, **source, copies=copies)


def find_folder(data: str | None, progress: Progress) -> Path:
    """Return the folder with the image files that `prepare` would decode."""
    return _find_source(data, cache_folder(), progress)["source_folder"]


def open_cached(folder: Path) -> ImageData:
    """Map a cache entry that `prepare` made (its `folder`), without reading it.

    Raises:
        UserError: the entry is missing or damaged.
    """
    try:
        index, images = decode_cache.open_entry(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: this cache entry cannot be used ({error}). "
            "Run `python -m bench prepare` to make it again."
        ) from error
    splits = {
        split: Split(
            images=images[split],
            labels=np.array(index["labels"][split], np.int64),
            files=tuple(index["files"][split]),
        )
        for split in SPLIT_FOLDERS
    }
    return ImageData(
        fingerprint=index["fingerprint"],
        classes=tuple(index["classes"]),
        splits=splits,
        skipped=tuple((file, reason) for file, reason in index["skipped"]),
        guessed=tuple((file, bits) for file, bits in index["guessed"]),
        folder=folder,
    )


def scan_folder(folder: Path) -> Files:
    """List the images of a data set folder without opening them.

    The folder holds train, validation (or val, or valid) and test in any case of the
    letters, each with one sub-folder per class. Everything in a class folder is an
    image; hidden and system files are left out everywhere, and so are files beside the
    class folders. The name of a class is the same in composed and decomposed Unicode.

    Returns:
        {'train': {'class/name.jpg': path}, 'validation': ..., 'test': ...}, each
        sorted by (class, name).

    Raises:
        UserError: no such folder, or all that is wrong inside it.
    """
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "no such folder"
        raise UserError(
            f"{folder}: {problem}. Give a folder with train/, validation/ and test/, "
            "or `--data synthetic` for the embedded data set."
        )
    problems: list[str] = []
    roots = _split_roots(folder, problems)
    found = {split: _images_by_class(root, problems) for split, root in roots.items()}
    problems += _class_problems(found)
    if problems:
        raise UserError(
            f"{folder}: not a data set:\n{listed(problems)}\n"
            "A data set has train/, validation/ (or val/) and test/, each with the "
            f"same sub-folders, one per class.{_hint(folder)}"
        )
    return {
        split: {f"{label}/{path.name}": path for label in c for path in c[label]}
        for split, c in found.items()
    }


def _find_source(data: str | None, cache: Path, progress: Progress) -> dict:
    """Return what `ImageData` says of where the images come from."""
    chosen = data or os.environ.get("BENCH_DATA")
    if chosen == "synthetic":
        return _synthetic(cache, progress)
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        return {"name": folder.name, "source_folder": folder}
    try:
        folder = downloads.download_dataset(cache, progress)
    except downloads.NoNetwork as error:
        notice = (
            "These are drawn images, since the clothing photos could not be "
            f"downloaded: {error}"
        )
        return _synthetic(cache, progress) | {"notice": notice}
    return {
        "name": downloads.DATASET_NAME,
        "source": "download",
        "source_folder": folder,
    }


def _synthetic(cache: Path, progress: Progress) -> dict:
    folder = cache / f"synthetic-v{SYNTHETIC_VERSION}"
    if not folder.is_dir():
        progress("Drawing the synthetic data set", 0, 0)
    decode_cache.build_folder(folder, write_dataset, progress)
    return {
        "name": "embedded synthetic clothing",
        "source": "synthetic",
        "source_folder": folder,
    }


def _visible(folder: Path, problems: list[str]) -> list[Path]:
    try:
        return visible(folder)
    except OSError as error:
        problems.append(f"{folder} cannot be read: {error.strerror}")
        return []


def _split_roots(folder: Path, problems: list[str]) -> dict[str, Path]:
    here = [path for path in _visible(folder, problems) if path.is_dir()]
    roots = {}
    for split, names in SPLIT_FOLDERS.items():
        present = [path for path in here if path.name.lower() in names]
        if len(present) == 1:
            roots[split] = present[0]
        elif present:
            both = " and ".join(path.name for path in present)
            problems.append(f"both {both} are there: keep one")
        else:
            problems.append(f"no folder {' or '.join(names)}")
    return roots


def _images_by_class(root: Path, problems: list[str]) -> dict[str, list[Path]]:
    by_class: dict[str, list[Path]] = {}
    for folder in _visible(root, problems):
        if not folder.is_dir():
            continue
        # macOS may write the name of a class in decomposed letters.
        label = unicodedata.normalize("NFC", folder.name)
        if label in by_class:
            problems.append(f"{root.name} has two folders with the name '{label}'")
        by_class[label] = _visible(folder, problems)
        problems += [
            f"{root.name}/{label}/{path.name} is a folder: images lie directly in the "
            "folder of their class"
            for path in by_class[label]
            if path.is_dir()
        ]
    return by_class


def _class_problems(found: dict[str, dict[str, list[Path]]]) -> Iterator[str]:
    classes = sorted(set().union(*found.values()))
    if found and len(classes) < 2:
        yield f"class folders: {', '.join(classes) or 'none'}; 2 are the least"
    for split, by_class in found.items():
        for label in classes:
            if label not in by_class:
                yield f"{split} has no class '{label}', which another split has"
            elif not by_class[label]:
                yield f"{split}/{label} is empty"
        for name in [
            *by_class,
            *(p.name for paths in by_class.values() for p in paths),
        ]:
            if any(unicodedata.category(letter) in NO_TEXT for letter in name):
                yield f"{split}: the name {name!a} is not valid text, rename it"


def _hint(folder: Path) -> str:
    """Say what the folder seems to be instead of a data set, and how to go on."""
    inside = [path for path in _visible(folder, []) if path.is_dir()]
    whole = [
        path for path in inside if len(_split_roots(path, [])) == len(SPLIT_FOLDERS)
    ]
    if len(whole) == 1:
        return f"\n{whole[0]} has these: give that folder."
    if len(inside) < 2 or _split_roots(folder, []):
        return ""
    names = ", ".join(path.name for path in inside[:MOST_NAMED])
    return (
        f"\nIf its folders ({names}{', ...' if len(inside) > MOST_NAMED else ''}) are "
        "classes, this makes a copy with splits:\n  python -m bench prepare --split "
        f"80/10/10 {folder} NEW-FOLDER"
    )
