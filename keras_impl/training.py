"""Train and validate: compile() says how, fit() does it."""

import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from keras.optimizers import Adam
from keras.optimizers.schedules import CosineDecay

from keras_impl.checkpoint import keep_checkpoints, load_checkpoint
from shared.program import Epoch, report_epoch, start_history


def train(
    model: keras.Model,
    train_loader: tf.data.Dataset,
    validation_loader: tf.data.Dataset,
    folder: Path,
    epochs: int = 10,
    learning_rate: float = 0.001,
    cosine: bool = False,
    resume: bool = False,
) -> None:
    """Train with Adam on the cross entropy, and validate after every epoch.

    The epoch with the highest validation accuracy is kept in `folder` as `best`, and
    the newest epoch as `last`. A resumed training shuffles its images anew.

    Args:
        train_loader, validation_loader: batches of images and labels.
        epochs: how many there are in all, with those that were done before.
        cosine: let the learning rate fall to zero along a cosine.
        resume: go on after the epoch in `last`.
    """
    history = start_history(folder, resume)
    if resume:  # model, optimizer and schedule in one, in place of the given model
        model = load_checkpoint(folder, "last")
    else:
        # The schedule replaces the number; in PyTorch it is an object of its own. [D29]
        schedule = CosineDecay(learning_rate, epochs * len(train_loader))
        model.compile(
            optimizer=Adam(schedule if cosine else learning_rate),
            # [D13] Takes probabilities unless it is told; PyTorch's takes logits.
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    # fit() does what PyTorch's side spells out: batches, gradients, steps, validation.
    model.fit(
        train_loader,
        validation_data=validation_loader,
        shuffle=False,  # the training batches are shuffled already
        initial_epoch=len(history),
        epochs=epochs,
        callbacks=[*keep_checkpoints(folder, history), _Report(epochs, folder)],
        verbose=1 if sys.stdout.isatty() else 0,  # 1: a progress bar
    )


class _Report(keras.callbacks.Callback):
    """Reports the figures of each epoch, which fit() hands over as a dictionary."""

    def __init__(self, epochs: int, folder: Path) -> None:
        super().__init__()
        self.epochs, self.folder = epochs, folder

    def on_epoch_begin(self, *_: object) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict) -> None:  # [D10] means over images
        names = "loss", "accuracy", "val_loss", "val_accuracy"
        seconds = time.perf_counter() - self.start
        figures = Epoch(epoch + 1, *(logs[name] for name in names), seconds)
        report_epoch(figures, self.epochs, self.folder)


def evaluate(model: keras.Model, loader: tf.data.Dataset) -> tuple[float, float]:
    """Return the mean loss and the accuracy over all images; nothing is learned."""
    loss, accuracy = model.evaluate(loader, verbose=0)
    return loss, accuracy
