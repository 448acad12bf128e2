"""Every value that matters to the comparison, chosen here and nowhere by default."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import UserError

ONNX_OPSET = 18  # the newest that both exporters write
ONNX_BATCH_SIZES = (1, 7, 32)


# Fields that the plain programs do not read; a run of theirs refuses to change them.
MATCHED_ONLY = (
    "image_size_px",
    "resize",
    "batch_size",
    "rotation_degrees",
    "crop_scale_min",
    "flip_probability",
    "color_jitter",
    "batch_norm_epsilon",
    "batch_norm_momentum",
    "batch_norm",
    "precision",
    "channels_last",
    "pin_memory",
    "cudnn_benchmark",
    "compile",
    "tf32",
    "optimizer",
    "momentum",
    "adam_beta_1",
    "adam_beta_2",
    "weight_decay",
    "adam_epsilon",
    "schedule",
    "class_weights",
    "label_smoothing",
    "fine_tuning",
    "fine_tuning_epochs",
    "fine_tuning_rate",
    "cache_features",
    "fold_batch_norm",
)


class Config(BaseModel):
    """The resolved configuration of one run; stored with every result."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # they are the help texts of the command line
    )

    division: Literal["matched", "plain"] = "matched"
    """Same program on both sides, or each as its guide writes it."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Key of every random stream of the run."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if all arms can use it, else the CPU."""

    # Data
    image_size_px: int = Field(224, ge=32, le=512, multiple_of=32)
    """Side of the square input; the ImageNet weights saw 224."""
    resize: Literal["squeeze", "crop"] = "squeeze"
    """How a photo becomes a square; crop cuts its borders and keeps its shape."""
    batch_size: int = Field(32, ge=1, le=1024)
    """Images in a batch."""

    # Augmentation of training images: the workshop's three
    augment: bool = False
    """Rotate, crop and flip training images (slower)."""
    rotation_degrees: float = Field(10.0, ge=0, le=180)
    """Largest rotation to either side."""
    crop_scale_min: float = Field(0.9, gt=0, le=1)
    """Smallest share of the area that a crop keeps."""
    flip_probability: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    color_jitter: float = Field(0.0, ge=0, lt=1)
    """Largest change of brightness, contrast and saturation, as a share of 1."""

    # Model
    batch_norm_epsilon: float = Field(1e-5, gt=0, lt=1)
    """Both sides take torchvision's; Keras has 1e-3."""
    batch_norm_momentum: float = Field(0.1, ge=0, le=1)
    """Share of the new batch (Keras: one minus it); read where batch norm learns."""
    batch_norm: Literal["frozen", "drifting"] = "frozen"
    """drifting: a frozen backbone still takes each batch's statistics (slower)."""
    inner_size: int = Field(100, ge=0, le=65536)
    """Units of the head's hidden layer; 0 leaves the layer out."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of the output layer's inputs set to zero in training."""

    # Training
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    """bfloat16 gives other results and no ONNX file; float64 is slow, hardly rounds."""
    channels_last: bool = True
    """PyTorch's images as NHWC in memory, as Keras has them."""
    pin_memory: bool = False
    """On GPUs: PyTorch's loader copies each batch to where the GPU reads faster."""
    cudnn_benchmark: bool = False
    """On GPUs: PyTorch times cuDNN's algorithms and takes the fastest, as TensorFlow
    does by itself."""
    compile: bool = False
    """torch.compile, and XLA (jit_compile) on Keras's side."""
    tf32: bool = False
    """On GPUs: round factors to ten bits, in less time."""
    epochs: int = Field(10, ge=1, le=1000)
    """Passes over the images."""
    learning_rate: float = Field(1e-3, gt=0, le=10)
    """Size of a step; the workshop's best of four."""
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    """Learning rate over the steps: cosine falls to 0, one-cycle rises before."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Rule of the update; adam with weight decay is AdamW."""
    momentum: float = Field(0.9, gt=0, lt=1)
    """Of sgd: share of the previous step that is taken again."""
    class_weights: bool = False
    """Let a rare class count as much as a common one in the loss."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that the training loss spreads over all classes."""
    fine_tuning: Literal["off", "all", "gradual"] = "off"
    """After the head, train the backbone too: all of it, or more in each epoch."""
    fine_tuning_epochs: int = Field(5, ge=1, le=1000)
    """Passes over the images in fine-tuning, after `epochs` for the head."""
    fine_tuning_rate: float = Field(1e-5, gt=0, le=10)
    """Size of a step in fine-tuning; small, to keep what ImageNet taught."""
    adam_beta_1: float = Field(0.9, gt=0, lt=1)
    """Decay of the gradient."""
    adam_beta_2: float = Field(0.999, gt=0, lt=1)
    """Decay of its square."""
    weight_decay: float = Field(0.0, ge=0, lt=1)
    """Decoupled (AdamW), times the learning rate."""
    adam_epsilon: float = Field(1e-8, gt=0, lt=1)
    """Both sides take PyTorch's; Keras has 1e-7."""
    cache_features: bool = True
    """Compute the frozen backbone's features once; same result."""
    fold_batch_norm: bool = True
    """Fold a frozen backbone's batch norm into its convolutions; same but rounding."""

    # Timing
    timing_rounds: int = Field(5, ge=0, le=100)
    """Fresh processes per arm; ratios need 5, and 0 measures nothing."""
    timing_warmup_steps: int = Field(20, ge=0, le=1000)
    """Steps until their times stand still, at most; not kept."""
    timing_steps: int = Field(6, ge=1, le=1000)
    """Steady steps kept in each process."""
    timing_budget_s: float = Field(3.0, gt=0, le=3600)
    """Seconds that a steady phase may take in each process, without its first call."""

    @property
    def is_mixed(self) -> bool:
        """Whether most layers compute in 16 bits."""
        return self.precision == "bfloat16"

    @property
    def is_rounded(self) -> bool:
        """Whether it computes with fewer digits than float32: in 16 bits or in TF32."""
        in_tf32 = self.tf32 and self.precision == "float32" and self.device != "cpu"
        return self.is_mixed or in_tf32

    @property
    def num_epochs(self) -> int:
        """How many epochs a training has, those of fine-tuning included."""
        tuning = self.fine_tuning_epochs if self.fine_tuning != "off" else 0
        return self.epochs + tuning

    @property
    def batch_norm_drifts(self) -> bool:
        """Whether the batch norm of a frozen backbone moves with each batch. [D01]"""
        return self.batch_norm == "drifting"

    @property
    def features_are_cached(self) -> bool:
        """Whether features are computed once, to train the head on.

        They differ in every epoch where the images are augmented or batch norm drifts.
        The plain division trains on images: its backbones may drift. [D01]
        """
        matched, fixed = self.division == "matched", not self.batch_norm_drifts
        return matched and fixed and self.cache_features and not self.augment


def make_config(**values: object) -> Config:
    """Validate `values`; fields left out take their defaults.

    Raises:
        UserError: an unknown field, a value out of range, or one that this division
            does not read, all of them listed.
    """
    try:
        config = Config(**values)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, problem['loc']))} = {problem['input']!r}: "
            f"{problem['msg'].lower()}"
            for problem in error.errors()
        ]
        raise UserError("Configuration is not valid:\n" + "\n".join(lines)) from error
    _require_read(config)
    if config.optimizer == "sgd" and config.weight_decay:
        raise UserError(
            f"weight_decay = {config.weight_decay!r}: sgd has none here. Leave it out, "
            "or take adam."
        )
    return config


def _require_read(config: Config) -> None:
    changed = [
        f"{name} = {getattr(config, name)!r}"
        for name in MATCHED_ONLY
        if getattr(config, name) != Config.model_fields[name].default
    ]
    if config.division == "plain" and not config.inner_size:
        changed.append("inner_size = 0")
    if changed and config.division == "plain":
        raise UserError(
            f"{', '.join(changed)}: read by the matched division alone. Leave it out "
            "of a run of the plain one."
        )
