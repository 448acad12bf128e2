"""Classify images with PyTorch, from folders of photos to an ONNX file.

Run it with `python -m pytorch_impl --data FOLDER`.
"""

from pathlib import Path

import torch

from pytorch_impl.checkpoint import load_checkpoint
from pytorch_impl.dataset import make_loader, make_own_loader
from pytorch_impl.device import find_device
from pytorch_impl.export import export_onnx
from pytorch_impl.inference import classify, guess_imagenet
from pytorch_impl.model import build_model, load_pretrained, unfreeze
from pytorch_impl.training import evaluate, train
from shared.program import find_images, print_ranking, read_options, run


def main(arguments: list[str] | None = None) -> None:
    """Do everything from the first image to the exported file."""
    options = read_options("pytorch_impl", Path("output/pytorch"), arguments)
    torch.manual_seed(options.seed)
    device = find_device(options.device)
    folders = find_images(options.data, options.limit, options.seed)
    classes = sorted(folder.name for folder in folders["train"].iterdir())
    photo = options.predict or str(min(folders["test"].glob("*/*")))

    network, scaling, knows_imagenet = load_pretrained(options.weights)
    if knows_imagenet:
        guess = guess_imagenet(network, photo, scaling)
        print_ranking(f"What ImageNet's classes say about {photo}:", guess)
    else:
        print("These weights have no 1000 ImageNet classes to guess from.")

    make = make_own_loader if options.own_dataset else make_loader
    training = make(folders["train"], scaling, training=True, augment=options.augment)
    validation = make(folders["validation"], scaling)
    test = make(folders["test"], scaling)

    model = build_model(network, len(classes)).to(device)
    folder, resume = options.output, options.resume
    train(
        model,
        training,
        validation,
        folder,
        options.epochs,
        1e-3,
        options.cosine,
        resume,
    )
    if options.fine_tune:
        model = unfreeze(load_checkpoint(folder, "best").to(device))
        folder = folder / "fine-tuned"
        train(
            model, training, validation, folder, options.fine_tune, 1e-5, options.cosine
        )

    model = load_checkpoint(folder, "best").to(device)
    loss, accuracy = evaluate(model, test)
    print(f"Test loss {loss:.4f}, accuracy {accuracy:.4f}")
    print_ranking(f"What it is in {photo}:", classify(model, photo, classes, scaling))
    export_onnx(model, options.output / "model.onnx")


if __name__ == "__main__":
    run(main)
