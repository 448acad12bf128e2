"""What PyTorch does by itself, one difference at a time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from pytorch_impl import precision
from pytorch_impl.matched import augmentation, dataset, model, training
from pytorch_impl.weights import read_arrays
from shared import metrics
from shared.errors import UserError
from shared.model.checkpoints import Description
from shared.model.weights import IMAGENET_MEAN, IMAGENET_STD, KERAS_MEAN, KERAS_STD
from shared.replaced import replaced


def switched_on(difference: str) -> AbstractContextManager:
    """The framework's own way, or its usual mistake, in place of the matched code.

    Args:
        difference: its number in docs/differences.md, e.g. "D01".

    Raises:
        UserError: the matched code of this side has nothing to switch there.
    """
    if difference not in SWITCHES:
        raise UserError(
            f"{difference}: nothing to switch on the PyTorch side, which has "
            f"{', '.join(SWITCHES)}."
        )
    return SWITCHES[difference]()


@contextmanager
def _let_batch_norm_drift() -> Iterator[None]:
    """[D01] requires_grad=False alone, as most tutorials freeze."""
    with (
        replaced(model.Classifier, "train", nn.Module.train),
        replaced(training, "fold_classifier", lambda classifier: classifier),
    ):
        yield


def _swap_axes() -> AbstractContextManager:
    """[D04] swapaxes(1, 3) for permute(0, 3, 1, 2): every image lies on its side."""
    matched = dataset.normalise
    return replaced(dataset, "normalise", lambda x, *rest: matched(x.mT, *rest))


def _scale_as_the_other() -> AbstractContextManager:
    """[D06] ImageNet's mean and deviation for weights of [-1, 1], or the reverse."""
    matched = dataset.normalise

    def normalise(images: torch.Tensor, description: Description) -> torch.Tensor:
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if description.mean != KERAS_MEAN:
            mean, std = KERAS_MEAN, KERAS_STD
        wrong = description.model_copy(update={"mean": mean, "std": std})
        return matched(images, wrong)

    return replaced(dataset, "normalise", normalise)


def _keep_own_first_values() -> AbstractContextManager:
    """[D07] nn.Linear's own initialisation of the head."""
    matched = model.load_arrays

    def load(classifier: model.Classifier, arrays: dict) -> None:
        own = {n: a for n, a in read_arrays(classifier).items() if "head." in n}
        matched(classifier, arrays | own)

    return replaced(model, "load_arrays", load)


def _decay_by_gradient() -> AbstractContextManager:
    """[D09] torch.optim.Adam's weight decay is an L2 term."""
    return replaced(torch.optim, "AdamW", torch.optim.Adam)


def _average_batch_means() -> AbstractContextManager:
    """[D10] The mean of the batches' means, as a loop adds it up."""
    matched, size = metrics.cross_entropy, 32

    def mean_of_means(logits: np.ndarray, labels: np.ndarray) -> float:
        cuts = range(size, len(labels), size)
        batches = zip(np.split(logits, cuts), np.split(labels, cuts), strict=True)
        return float(np.mean([matched(*batch) for batch in batches]))

    return replaced(metrics, "cross_entropy", mean_of_means)


def _take_nearest_pixel() -> AbstractContextManager:
    """[D11] RandomRotation takes the nearest pixel unless told."""
    matched = augmentation.F.grid_sample

    def grid_sample(*inputs: torch.Tensor, mode: str, **options) -> torch.Tensor:  # noqa: ARG001
        return matched(*inputs, mode="nearest", **options)

    return replaced(augmentation.F, "grid_sample", grid_sample)


def _draw_own_masks() -> AbstractContextManager:
    """[D17] nn.Dropout's own masks, from the global generator."""
    matched = model._Head.forward
    return replaced(
        model._Head,
        "forward",
        lambda head, features, _kept=None: matched(head, features),
    )


def _forget_eval() -> AbstractContextManager:
    """[D20] No eval() before predicting: dropout and batch norm run on."""
    return replaced(nn.Module, "eval", lambda module: module)


def _forget_scheduler_step() -> AbstractContextManager:
    """[D29] The loop never calls scheduler.step()."""
    schedule = torch.optim.lr_scheduler.LRScheduler
    return replaced(schedule, "step", lambda _schedule: None)


def _divide_by_the_weights() -> AbstractContextManager:
    """[D37] The mean of cross_entropy(weight=...): by the sum of the weights."""
    return replaced(
        training,
        "_average",
        lambda losses, weights: (losses * weights).sum() / weights.sum(),
    )


def _forget_zero_grad() -> AbstractContextManager:
    """[D40] Gradients of all steps add up, since the loop never calls zero_grad()."""
    return replaced(torch.optim.Optimizer, "zero_grad", lambda _optimizer: None)


def _compute_in_bfloat16() -> AbstractContextManager:
    """[D47] Every forward pass under autocast."""
    return replaced(precision, "_dtype", torch.bfloat16)


SWITCHES = {
    "D01": _let_batch_norm_drift,
    "D04": _swap_axes,
    "D06": _scale_as_the_other,
    "D07": _keep_own_first_values,
    "D09": _decay_by_gradient,
    "D10": _average_batch_means,
    "D11": _take_nearest_pixel,
    "D17": _draw_own_masks,
    "D20": _forget_eval,
    "D29": _forget_scheduler_step,
    "D37": _divide_by_the_weights,
    "D40": _forget_zero_grad,
    "D47": _compute_in_bfloat16,
}


def _resize_and_crop(path: Path, size: int) -> np.ndarray:
    """[D25] torchvision's recipe for its weights: the shorter side, then the centre."""
    recipe = v2.Compose([v2.Resize(size * 256 // 224), v2.CenterCrop(size)])
    with Image.open(path) as image:
        return np.asarray(recipe(image.convert("RGB")))


# How files become pixels (H, W, 3) uint8, given a path and the side of the square.
READERS = {"D25": _resize_and_crop}
