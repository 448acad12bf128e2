"""Move the channels of images that are not square."""

from types import ModuleType

from exercises.expectations import expect_close
from exercises.references import draw


def check(answer: ModuleType) -> None:
    """Compare the images with NumPy's."""
    images = draw(2, 3, 4, 6)
    found = answer.to_channels_last(images)
    where = "images of 4 rows and 6 columns"
    advice = "rows are to stay rows, and columns are to stay columns"
    expect_close(found, images.transpose(0, 2, 3, 1), where, advice)
