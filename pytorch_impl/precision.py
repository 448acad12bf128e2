"""Compute in 16 bits where that is safe, and in 32 bits elsewhere."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

# None: nothing is cast.
DTYPES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_dtype = DTYPES["float32"]  # set_precision() changes it


def set_precision(precision: str) -> None:
    """Choose in which precision models compute, before the first one is built.

    Of the 24 bits that float32 has for the digits of a number, bfloat16 keeps 8, and
    the whole range. float16 keeps 11, but its smallest number is 6e-8. Smaller
    gradients become 0, so float16 needs a scaler, and bfloat16 does not. Parameters,
    checkpoints and the exported file stay in float32.

    Keras's layers carry the precision with them, from the moment they are made.
    PyTorch's do not: each forward pass runs in a context, `autocast`.

    Args:
        precision: "float32", "bfloat16" or "float16".
    """
    global _dtype
    _dtype = DTYPES[precision]


def is_mixed() -> bool:
    """Return whether the chosen precision is one of 16 bits."""
    return _dtype is not None


def autocast(device: str) -> AbstractContextManager:
    """Return the context for a forward pass and its loss; float32 needs none.

    In it, linear layers and convolutions compute in 16 bits, and what would lose too
    many digits, such as the loss, in 32.

    Args:
        device: "cpu" or "cuda".
    """
    return torch.autocast(device, _dtype) if is_mixed() else nullcontext()


class Float32Linear(nn.Linear):
    """A linear layer that computes in float32, also where others compute in 16 bits.

    As the last layer it gives logits with all their digits. In Keras this is an
    argument of the layer: `dtype="float32"`.
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            return super().forward(inputs.float())


def make_scaler(device: str) -> GradScaler:
    """Return what scales gradients in float16; in other precisions it does nothing.

    The loss, and with it all gradients, is multiplied by 65,536 at first, so that small
    gradients do not become 0. Too large a factor gives gradients that are infinite.
    Then the scaler leaves out the step and halves the factor; after 2,000 good steps it
    doubles the factor. In Keras, compile() adds a LossScaleOptimizer by itself.
    """
    return GradScaler(device, enabled=_dtype == torch.float16)


def train_mixed_epoch(
    model: nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    scaler: GradScaler,
) -> tuple[float, float]:
    """Learn from every batch once in 16 bits; return the mean loss and the accuracy.

    The loop of training.py, with what 16 bits need. In Keras, fit() does it by itself.
    """
    model.train()
    device = next(model.parameters()).device
    loss_sum, num_correct, num_images = 0.0, 0, 0
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()  # [D40]
        with autocast(device.type):
            logits = model(images)  # (N, classes) float32
            loss = nn.functional.cross_entropy(logits, labels)
        # Outside of the context: gradients have the precision of the forward pass.
        # [D47] In Keras, compile() scales the loss by itself.
        scaler.scale(loss).backward()
        # To clip gradients, call scaler.unscale_(optimizer) first: here they are still
        # multiplied by the factor. step() divides them by it.
        scaler.step(optimizer)
        scaler.update()
        if scheduler:
            scheduler.step()  # [D29]
        loss_sum += loss.item() * len(labels)  # [D10]
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
        num_images += len(labels)
    return loss_sum / num_images, num_correct / num_images
