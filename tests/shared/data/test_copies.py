"""Images that stand in two splits, or under two labels."""

from shared.data.copies import describe_copies


def test_no_copies_no_words():
    assert describe_copies({"train/a/1.jpg": "x", "test/b/1.jpg": "y"}) is None
    assert describe_copies({"train/a/1.jpg": "x", "train/a/2.jpg": "x"}) is None


def test_copies_in_another_split_and_under_another_label():
    digests = {
        "train/a/1.jpg": "x",
        "validation/a/2.jpg": "y",
        "validation/a/3.jpg": "z",
        "test/a/2.jpg": "y",
        "test/b/1.jpg": "x",
        "test/b/3.jpg": "z",
    }
    assert describe_copies(digests) == (
        "1 test image is also in train. 2 test images are also in validation. "
        "2 images have two labels."
    )
    assert describe_copies({"train/a/1": "x", "train/b/1": "x"}) == (
        "1 image has two labels."
    )
