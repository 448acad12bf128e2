"""Read and check the metadata that an ONNX file holds about its classifier."""

from pathlib import Path
from typing import Annotated, Literal

from onnxruntime import InferenceSession
from pydantic import AfterValidator, BaseModel, Field, Json, ValidationError

from shared.data.images import Resize
from shared.errors import UserError

ADVICE = "Give a file that `python -m bench train` or `export` wrote."


def _require_printable(name: str) -> str:
    if not name.isprintable():  # a control character could change the terminal
        raise ValueError("a class name holds a control character")
    return name


def _require_distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a class name occurs twice")
    return names


ClassName = Annotated[str, Field(min_length=1), AfterValidator(_require_printable)]
ClassNames = Annotated[
    list[ClassName], Field(min_length=1), AfterValidator(_require_distinct)
]
# Mean and std of pixels scaled to [0, 1]. The bounds keep float32 from overflowing.
Mean = Annotated[float, Field(strict=True, ge=-1e3, le=1e3, allow_inf_nan=False)]
Std = Annotated[float, Field(strict=True, ge=1e-6, le=1e3, allow_inf_nan=False)]


class Metadata(BaseModel):
    """Metadata as `shared.model.onnx_file.finish_onnx` writes it, each value a text."""

    classes: Json[ClassNames]
    image_size_px: int = Field(ge=1, le=4096)
    mean: Json[tuple[Mean, Mean, Mean]]
    std: Json[tuple[Std, Std, Std]]
    layout: Literal["NCHW", "NHWC"]
    resize: Resize = "squeeze"  # of files from before there was a choice

    @property
    def image_shape(self) -> list[int]:
        """Return the shape of one image in the graph's input."""
        size = self.image_size_px
        return [3, size, size] if self.layout == "NCHW" else [size, size, 3]


def read_metadata(path: Path, session: InferenceSession) -> Metadata:
    """Read the metadata of an opened file, and check that its graph agrees with it.

    Raises:
        UserError: a value is missing or malformed, or the graph's input or output does
            not agree with the metadata.
    """
    stored = session.get_modelmeta().custom_metadata_map
    try:
        metadata = Metadata.model_validate(stored)
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        found = f"is {stored[name][:60]!a}" if name in stored else "is missing"
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(
            f"--model {path}: '{name}' in its metadata {found} ({reason}). {ADVICE}"
        ) from error
    _require_shape(path, "input", session.get_inputs(), metadata.image_shape)
    _require_shape(path, "logits", session.get_outputs(), [len(metadata.classes)])
    return metadata


def _require_shape(path: Path, name: str, values: list, shape: list[int]) -> None:
    """Check that a graph has exactly this input or output, for batches of any size."""
    found = [(value.name, value.type, value.shape) for value in values]
    batch = found[0][2][:1] if found else []
    expected = [(name, "tensor(float)", [*batch, *shape])]
    if found != expected or isinstance(batch[0], int):
        raise UserError(
            f"--model {path}: its metadata needs a graph with '{name}' of "
            f"tensor(float) {['batch', *shape]} and nothing else, but the graph has "
            f"{found!a}. {ADVICE}"
        )
