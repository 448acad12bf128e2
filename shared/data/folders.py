"""Folders of image files, for loaders that read files and not the decode cache."""

import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from shared.data.cache import Progress, listed
from shared.data.dataset import ImageData, scan_folder
from shared.errors import UserError
from shared.files import require_free_space


def link_images(data: ImageData, folder: Path, copies: int = 1) -> Path:
    """Fill `folder` with links <split>/<class>/<name> to the images in use.

    They are those of `data.splits`: without what was left out as bad, and under the
    name `validation` where the data set says `val`.

    Args:
        data: as `prepare` returns it, with its source folder.
        copies: links to each image, under names of their own.
    """
    sources = scan_folder(data.source_folder)
    for split, images in data.splits.items():
        for name, copy in product(images.files, range(copies)):
            link = folder / split / name
            if copies > 1:
                link = link.with_name(f"{copy}-{link.name}")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(sources[split][name].resolve())
    return folder


def copy_images(
    places: Mapping[Path, Path | str], folder: Path, progress: Progress
) -> None:
    """Copy images into a folder.

    Args:
        places: where each one goes, relative to the folder, by where it lies.

    Raises:
        UserError: there is no room for the copies.
    """
    require_free_space(folder, sum(path.stat().st_size for path in places))
    for number, (path, place) in enumerate(places.items()):
        if number % 100 == 0:
            progress("copying images", number, len(places))
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def require_readable(folder: Path, endings: tuple[str, ...]) -> None:
    """Check that a framework's own loader would leave out no file of a split. [D32]

    Args:
        folder: the split, a sub-folder of image files for each class.
        endings: of the names of files that the loader reads.

    Raises:
        UserError: it would leave out files.
    """
    left_out = sorted(
        str(path.relative_to(folder.parent))
        for path in folder.glob("*/*")
        if path.suffix.lower() not in endings
    )
    if left_out:
        raise UserError(
            f"The framework's own loader leaves out {len(left_out)} file(s), whose "
            f"names end in nothing that it reads:\n{listed(left_out)}\nStore them as "
            ".jpg or .png, or use --division matched, which reads them."
        )
