"""Jobs of `explore`: what each framework makes of single images and of a data set."""

import numpy as np

from bench.processes.arms import PAIR
from bench.processes.request import AugmentImage, ExamineCheckpoint, GuessImagenet
from bench.worker.channel import on_batch
from bench.worker.job import Worker
from bench.worker.side import PlainSide
from shared.data.dataset import Split, open_cached
from shared.data.subsets import pick
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, Scaling

PLAIN = "plain"  # the variant that the plain program draws itself


def augment_image(worker: Worker[AugmentImage]) -> dict:
    """Store what each variant of augmentation makes of one training image.

    Each variant gives pixels (draws, H, W, 3) float32, from 0 to 255.
    """
    request = worker.request
    data = open_cached(request.inputs.data)
    description, _ = worker.describe(data)
    draws = len(list(request.copies.glob("*/*")))
    split = pick(data.splits["train"], np.full(draws, request.image))
    # The labels number the draws, so that the order of the loader can be undone.
    split = Split(split.images, np.arange(draws), split.files)
    found: Arrays = {}
    with worker.stage("augment"):
        for name, changes in request.variants.items():
            changed = {"augment": True, "batch_size": draws} | changes
            config = worker.config.model_copy(update=changed)
            varied = description.model_copy(update={"config": config})
            loader = worker.side.dataset.make_loader(split, varied, training=True)
            (images, _), numbers = next(iter(loader))
            in_order = np.asarray(images)[np.argsort(np.asarray(numbers))]
            found[name] = to_pixels(in_order, description)
        found[PLAIN] = _augment_plainly(worker, description)
    return {"arrays": worker.store("augmented", found)}


def _augment_plainly(
    worker: Worker[AugmentImage], description: Description
) -> np.ndarray:
    """Return the photo as the plain program's own layers change it at random."""
    loader = PlainSide(worker.request.arm).dataset.make_loader(
        worker.request.copies,
        Scaling(description.mean, description.std),
        training=True,
        augment=True,
    )
    images, _ = next(iter(loader))
    return to_pixels(np.asarray(images), description)


def to_pixels(images: np.ndarray, description: Description) -> np.ndarray:
    """Undo the normalisation of images in either layout.

    Returns:
        (N, H, W, 3) float32, pixel values from 0 to 255.
    """
    if images.shape[-1] != 3:  # [D04] PyTorch's (N, 3, H, W)
        images = np.moveaxis(images, 1, -1)
    pixels = 255 * (images * np.array(description.std) + np.array(description.mean))
    return pixels.astype(np.float32)


def guess_imagenet(worker: Worker[GuessImagenet]) -> dict:
    """Return ImageNet's five most probable classes of each photo.

    They come from the plain program, which has the network with its last layer. There
    are no guesses if the weights have no ImageNet classes.
    """
    plain = PlainSide(worker.request.arm)
    with worker.stage("build"):
        weights = worker.request.inputs.weights
        network, scaling, knows_imagenet = plain.model.load_pretrained(weights)
    if not knows_imagenet:
        return {"guesses": []}
    guesses = []
    with worker.stage("guess"):
        for photo in worker.request.photos:
            guess = plain.inference.guess_imagenet(network, str(photo), scaling)
            guesses.append(guess)
    return {"guesses": guesses}


def examine_checkpoint(worker: Worker[ExamineCheckpoint]) -> dict:
    """Store a checkpoint's logits of all images, and Grad-CAM maps of some of them.

    The images are the decoded ones, for the plain programs too.
    """
    request, side = worker.request, worker.side
    data, found = open_cached(request.inputs.data), {}
    with worker.stage("build"):
        model, description = worker.program.load_checkpoint(request.checkpoint)
        matched = description.config.division == "matched"
        network = side.model.fold_classifier(model) if matched else model
    with worker.stage("predict"):
        for name, split in data.splits.items():
            loader = side.dataset.make_loader(split, description)
            found[name] = side.inference.predict_logits(network, loader, on_batch)
    # Keras has no gradients on its other backends without code of their own.
    if request.images and request.arm in PAIR:
        with worker.stage("cam"):
            test = pick(data.splits["test"], np.array(request.images))
            found["maps"] = _compute_maps(worker, model, description, test)
    return {"arrays": worker.store("examined", found)}


def _compute_maps(
    worker: Worker[ExamineCheckpoint], model, description: Description, split: Split
) -> np.ndarray:
    config = description.config.model_copy(update={"batch_size": len(split.labels)})
    one_batch = description.model_copy(update={"config": config})
    images, _ = next(iter(worker.side.dataset.make_loader(split, one_batch)))
    classes = worker.request.classes
    return worker.side.cam.compute_cam(model, np.asarray(images), classes)
