"""Classify images with PyTorch, from folders of photos to an ONNX file.

Run it with `python -m pytorch_impl --data FOLDER`. A mark such as [D01] names an
entry of docs/differences.md, which explains a difference between PyTorch and Keras.
"""

from pathlib import Path

import torch

from pytorch_impl.checkpoint import load_checkpoint
from pytorch_impl.dataset import ENDINGS, make_loader, make_own_loader
from pytorch_impl.device import find_device
from pytorch_impl.distributed import finish, join_processes, report_once, share_loader
from pytorch_impl.export import export_onnx
from pytorch_impl.inference import classify, guess_imagenet
from pytorch_impl.model import build_model, load_pretrained, unfreeze
from pytorch_impl.training import evaluate, train
from shared.program import find_images, print_ranking, read_options, run


def main(arguments: list[str] | None = None) -> None:
    """Do everything, from the first image to the exported file."""
    options = read_options("pytorch_impl", Path("output/pytorch"), arguments)
    torch.manual_seed(options.seed)
    device = join_processes(find_device(options.device))
    images = find_images(options.data, ENDINGS, options.limit, options.seed)
    photo = options.predict or images.example

    network, scaling, knows_imagenet = load_pretrained(options.weights)
    if knows_imagenet:
        print_ranking(f"ImageNet: {photo}", guess_imagenet(network, photo, scaling))
    else:
        print("These weights have no ImageNet classes, so there is no guess.")

    load = make_own_loader if options.own_dataset else make_loader
    train_loader = load(images.train, scaling, training=True, augment=options.augment)
    train_loader = share_loader(train_loader, training=True)
    validation_loader = share_loader(load(images.validation, scaling))

    model = build_model(network, len(images.classes)).to(device)
    folder = options.output
    train(
        model,
        train_loader,
        validation_loader,
        folder,
        options.epochs,
        cosine=options.cosine,
        resume=options.resume,
    )
    if options.fine_tune:
        model = unfreeze(load_checkpoint(folder, "best")).to(device)
        folder = folder / "fine-tuned"
        train(
            model,
            train_loader,
            validation_loader,
            folder,
            options.fine_tune,
            learning_rate=1e-5,  # small, so that the pretrained layers change little
            cosine=options.cosine,
        )

    finish()
    model = load_checkpoint(folder, "best").to(device)
    loss, accuracy = evaluate(model, load(images.test, scaling))
    print(f"Test loss {loss:.4f}, accuracy {accuracy:.4f}")
    ranking = classify(model, photo, images.classes, scaling)
    print_ranking(f"Our classes: {photo}", ranking)
    export_onnx(model, options.output / "model.onnx")


if __name__ == "__main__":
    run(report_once(main))
