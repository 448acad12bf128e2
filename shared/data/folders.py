"""Folders of image files, for loaders that read files and not the decode cache."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

from shared.data.cache import listed
from shared.data.dataset import ImageData, scan_folder
from shared.errors import UserError


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


def require_whole_split(
    folder: Path,
    files: Iterable[str],
    loader_classes: Iterable[str],
    classes: tuple[str, ...],
    loader: str,
) -> None:
    """Check that a framework's own loader found one split as it is.

    Args:
        folder: the split, a sub-folder of image files for each class.
        files: the paths that the loader found.
        loader_classes: the class that the loader gives each label, in order.
        classes: the same, of the split.
        loader: its name, for the message.

    Raises:
        UserError: it left files out, or numbers the classes in another order.
    """
    missing = {str(path) for path in folder.glob("*/*")} - set(map(str, files))
    if missing:
        names = sorted(str(Path(path).relative_to(folder.parent)) for path in missing)
        raise UserError(
            f"{loader} leaves out {len(missing)} file(s), whose names end in nothing "
            f"that it reads:\n{listed(names)}\nStore them as .jpg or .png, or use "
            "--division matched, which reads them."
        )
    if tuple(loader_classes) != classes:
        raise UserError(
            f"{loader} numbers the classes as {', '.join(loader_classes)}; the data "
            f"set's order is {', '.join(classes)}. Rename the class folders."
        )
