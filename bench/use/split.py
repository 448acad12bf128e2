"""Make a data set with splits from a folder with one sub-folder for each class."""

from pathlib import Path

from shared.data.cache import SPLITS, Progress
from shared.data.folders import copy_images
from shared.data.walk import visible
from shared.errors import UserError
from shared.files import new_folder, require_new, sha256_of
from shared.sampling import SPLIT, stream

Chosen = dict[Path, str]  # where an image lies -> 'train/class/name.jpg'


def split_data(
    source: Path, destination: Path, shares: str, seed: int, progress: Progress
) -> str:
    """Copy images into train, validation and test, and say what was done.

    Every class has about the same share of its images in each split, and at least one.
    Images with the same bytes go into the same split.

    Args:
        source: has one folder of images for each class.
        shares: percentages such as "80/10/10".
        seed: of the random choice.

    Raises:
        UserError: shares are not three numbers with the sum 100, a class has too few
            images, or the destination cannot be used; nothing is written.
    """
    numbers = _parse(shares)
    if not source.is_dir():
        raise UserError(f"{source}: no such folder.")
    require_new("DESTINATION", destination, source)
    classes = [path for path in visible(source) if path.is_dir()]
    if len(classes) < 2 or {path.name for path in classes} & set(SPLITS):
        found = ", ".join(path.name for path in classes) or "none"
        raise UserError(
            f"{source}: wanted are two or more folders, one for each class, and none "
            f"of them called {', '.join(SPLITS)}. Found are: {found}."
        )
    chosen: Chosen = {}
    for number, folder in enumerate(classes):
        progress("choosing images", number, len(classes))
        chosen |= _choose(folder, numbers, stream(seed, SPLIT, number))
    with new_folder(destination) as copy:
        copy_images(chosen, copy, progress)
    split_of = [place.split("/")[0] for place in chosen.values()]
    counts = ", ".join(f"{split_of.count(split):,} {split}" for split in SPLITS)
    return f"{destination}: {counts} images. {source} is unchanged."


def _parse(shares: str) -> list[int]:
    parts = shares.split("/")
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(parts) != 3 or len(numbers) != 3 or sum(numbers) != 100 or 0 in numbers:
        raise UserError(
            f"--split {shares}: give three percentages for train, validation and test "
            "with the sum 100, for example 80/10/10."
        )
    return numbers


def _choose(folder: Path, numbers: list[int], random) -> Chosen:
    """Choose a split for each image of a class."""
    by_content: dict[str, list[Path]] = {}
    for path in visible(folder):
        if not path.is_file():
            raise UserError(
                f"{path}: not a file. Images lie directly in the folder of their class."
            )
        by_content.setdefault(sha256_of(path), []).append(path)
    groups = list(by_content.values())
    if len(groups) < len(SPLITS):
        raise UserError(
            f"{folder}: {len(groups)} different images; each of the three splits needs "
            "one at least."
        )
    order = random.permutation(len(groups)).tolist()
    sizes = [max(1, round(len(groups) * number / 100)) for number in numbers[1:]]
    ends = sizes[0], sum(sizes)  # of validation and of test; the rest is for training
    chosen = {}
    for place, index in enumerate(order):
        split = "train"
        if place < ends[1]:
            split = "validation" if place < ends[0] else "test"
        for path in groups[index]:
            chosen[path] = f"{split}/{folder.name}/{path.name}"
    return chosen
