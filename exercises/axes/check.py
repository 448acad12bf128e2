"""Move the channels of square images, and of images that are not square."""

from types import ModuleType

from exercises.expectations import expect_close
from exercises.references import draw

ADVICE = {
    (4, 6): "rows are to stay rows, and columns are to stay columns",
    (5, 5): "each image lies on its side, or its pixels are mixed",
}


def check(answer: ModuleType) -> None:
    """Compare the images with NumPy's."""
    for (height, width), advice in ADVICE.items():
        images = draw(2, 3, height, width)
        found = answer.to_channels_last(images)
        where = f"images of {height} rows and {width} columns"
        expect_close(found, images.transpose(0, 2, 3, 1), where, advice)
