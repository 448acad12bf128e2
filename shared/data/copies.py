"""Find images that stand in a data set twice, where that makes figures wrong."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations

from shared.data.cache import SPLITS


def describe_copies(digests: Mapping[str, str]) -> str | None:
    """Say how many images are in two splits, and how many have two labels.

    Args:
        digests: of the bytes of each image, by 'split/class/name.jpg'.

    Returns:
        Sentences such as "9 test images are also in validation.", or None if there are
        no such images.
    """
    splits: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, set[str]] = defaultdict(set)
    for name, digest in digests.items():
        split, label, _ = name.split("/", 2)
        splits[digest].add(split)
        labels[digest].add(label)
    found = []
    for first, second in combinations(SPLITS, 2):
        copies = [
            name
            for name, digest in digests.items()
            if name.startswith(f"{second}/") and first in splits[digest]
        ]
        if copies:
            images = "image is" if len(copies) == 1 else "images are"
            found.append(f"{len(copies)} {second} {images} also in {first}.")
    if two := sum(len(of_one) > 1 for of_one in labels.values()):
        have = "image has" if two == 1 else "images have"
        found.append(f"{two} {have} two labels.")
    return " ".join(found) or None
