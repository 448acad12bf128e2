"""Texts with which a report of the plain division explains the division."""

from bench.records import Results

# Entries of docs/differences.md; a test compares the titles.
ALWAYS = (
    "D02 Batch norm's epsilon and momentum",
    "D03 Padding of stride-2 convolutions",
    "D07 First values of a dense layer",
    "D08 Adam's epsilon",
    "D14 Order of the training images",
    "D16 Compilation",
    "D18 Decoding of JPEG files",
    "D24 Resizing to the network's size",
    "D30 Memory format",
    "D31 Loading in parallel",
    "D34 End of an epoch",
)
WITH_AUGMENTATION = ("D11 Rotation", "D12 Random crop and zoom")
WITH_DROPOUT = ("D17 Dropout's masks",)
ON_A_GPU = ("D22 TF32 on a GPU",)

BANNER = (
    "Plain division: each side is written as its framework's guide writes it, and "
    "the two programs differ by design. Do not put these figures into one table with "
    "those of the matched division."
)


def is_plain(results: Results) -> bool:
    return results.division == "plain"


def differences(results: Results) -> list[str]:
    """Return the titles of the differences between the two programs, in id order."""
    config = results.config
    on_gpu = any(arm.device not in (None, "cpu") for arm in results.arms.values())
    return sorted(
        ALWAYS
        + (WITH_AUGMENTATION if config["augment"] else ())
        + (WITH_DROPOUT if config["dropout"] else ())
        + (ON_A_GPU if on_gpu else ())
    )


def by_design(results: Results) -> list[str]:
    """Return the findings that come before any figure; [] in the matched division."""
    if not is_plain(results):
        return []
    return [
        "The two programs differ by design. They share the task: images, split, "
        "backbone weights with their pixel scale, sizes of the head, epochs, learning "
        "rate and batch size. Everything else follows each framework's guide. A "
        "difference between their results therefore comes from the whole list below, "
        "and cannot be attributed to a single entry of it."
    ]


def loading(results: Results) -> str:
    """Return a note on the time and memory of loading images; "" if not plain."""
    if not is_plain(results):
        return ""
    return (
        "Images are decoded again in every epoch. PyTorch's loader does this in "
        "processes of its own, whose memory is not counted here. Keras's loader does "
        "it in threads of the training process."
    )
