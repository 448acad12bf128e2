"""Classify images with Keras, from folders of photos to an ONNX file.

Run it with `python -m keras_impl --data FOLDER`.
"""

from pathlib import Path

import keras

from keras_impl.checkpoint import load_checkpoint
from keras_impl.dataset import make_loader, make_own_loader
from keras_impl.device import find_device
from keras_impl.export import export_onnx
from keras_impl.inference import classify, guess_imagenet
from keras_impl.model import build_model, load_pretrained, unfreeze
from keras_impl.training import evaluate, train
from shared.program import find_images, print_ranking, read_options, run


def main(arguments: list[str] | None = None) -> None:
    """Do everything from the first image to the exported file."""
    options = read_options("keras_impl", Path("output/keras"), arguments)
    keras.utils.set_random_seed(options.seed)
    find_device(options.device)
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

    model = build_model(network, len(classes))
    folder, rate, cosine = options.output, 0.001, options.cosine
    train(
        model,
        training,
        validation,
        folder,
        options.epochs,
        rate,
        cosine,
        options.resume,
    )
    if options.fine_tune:
        model, rate = unfreeze(load_checkpoint(folder, "best")), 0.00001
        folder = folder / "fine-tuned"
        train(model, training, validation, folder, options.fine_tune, rate, cosine)

    model = load_checkpoint(folder, "best")
    loss, accuracy = evaluate(model, test)
    print(f"Test loss {loss:.4f}, accuracy {accuracy:.4f}")
    print_ranking(f"What it is in {photo}:", classify(model, photo, classes, scaling))
    export_onnx(model, options.output / "model.onnx")


if __name__ == "__main__":
    run(main)
