"""Every value that matters to the comparison, chosen here and nowhere by default."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import UserError


class Config(BaseModel):
    """The resolved configuration of one run; stored with every result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    division: Literal["matched"] = "matched"
    seed: int = Field(0, ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    # Data. 224 px is what the ImageNet weights were trained on.
    image_size_px: int = Field(224, ge=32, le=512, multiple_of=32)
    batch_size: int = Field(32, ge=1, le=1024)

    # Augmentation of training images, the workshop's three (off by default).
    augment: bool = False
    rotation_degrees: float = Field(10.0, ge=0, le=180)
    crop_scale_min: float = Field(0.9, gt=0, le=1)  # smallest kept share of the area
    flip_probability: float = Field(0.5, ge=0, le=1)

    # Model. Batch norm's epsilon is torchvision's; momentum is in torch's convention
    # (Keras: one minus it) and moves nothing while the backbone is frozen.
    batch_norm_epsilon: float = Field(1e-5, gt=0, lt=1)
    batch_norm_momentum: float = Field(0.1, ge=0, le=1)
    inner_size: int = Field(100, ge=1, le=65536)
    dropout: float = Field(0.2, ge=0, lt=1)

    # Training. Adam's epsilon is torch's; see [D08] for where each side puts it.
    epochs: int = Field(10, ge=1, le=1000)
    learning_rate: float = Field(1e-3, gt=0, le=10)
    adam_beta_1: float = Field(0.9, ge=0, lt=1)
    adam_beta_2: float = Field(0.999, ge=0, lt=1)
    adam_epsilon: float = Field(1e-8, gt=0, lt=1)
    # Compute the frozen backbone's features once; the result is the same.
    cache_features: bool = True

    # Timing: processes per arm, steps thrown away and steps kept in each.
    timing_rounds: int = Field(3, ge=0, le=100)
    timing_warmup_steps: int = Field(2, ge=0, le=100)
    timing_steps: int = Field(6, ge=1, le=1000)

    # Export.
    onnx_opset: int = Field(18, ge=18, le=18)
    onnx_batch_sizes: tuple[int, ...] = (1, 7, 32)

    @property
    def features_are_cached(self) -> bool:
        """Augmented images differ in every epoch, so their features do too."""
        return self.cache_features and not self.augment


def make_config(**values: object) -> Config:
    """Validate `values`; fields left out take their defaults.

    Raises:
        UserError: an unknown field or a value out of range, all of them listed.
    """
    try:
        return Config(**values)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, problem['loc']))} = {problem['input']!r}: "
            f"{problem['msg'].lower()}"
            for problem in error.errors()
        ]
        raise UserError("Configuration is not valid:\n" + "\n".join(lines)) from error
