"""Train and validate: compile() says how, fit() does it."""

import sys
import time
from pathlib import Path

import keras
from keras.optimizers import Adam
from keras.optimizers.schedules import CosineDecay

from keras_impl.checkpoint import keep_checkpoints, load_checkpoint
from keras_impl.dataset import Batches
from shared.program import Epoch, report_epoch, start_history


def train(
    model: keras.Model,
    train_loader: Batches,
    validation_loader: Batches,
    folder: Path,
    epochs: int = 10,
    learning_rate: float = 0.001,
    cosine: bool = False,
    resume: bool = False,
) -> None:
    """Train with Adam on the cross entropy, and validate after every epoch.

    The model with the best validation accuracy is kept in `folder` as `best`, and the
    newest one as `last`. A resumed training draws other random numbers, so its result
    differs a little from that of a training without a break.

    Args:
        model: a classifier, which learns where its layers are not frozen.
        train_loader, validation_loader: batches of images and labels.
        folder: gets the checkpoints and `history.csv`.
        epochs: the total number, with those that were trained before.
        learning_rate: Adam's learning rate in the first step.
        cosine: let the learning rate fall to zero along a cosine.
        resume: go on after the epoch that is saved in `last`.
    """
    history = start_history(folder, resume)
    if resume:
        # The file holds the optimizer and its schedule too, so it replaces the model.
        model = load_checkpoint(folder, "last")
    else:
        # [D29] The optimizer is given the schedule in place of the number. In PyTorch
        # the schedule is an object beside the optimizer.
        schedule = CosineDecay(learning_rate, epochs * len(train_loader))
        model.compile(
            optimizer=Adam(schedule if cosine else learning_rate),
            # [D13] Keras's loss takes probabilities unless it is told that these are
            # logits, the output before softmax. PyTorch's cross_entropy takes logits.
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    # fit() does what PyTorch's program writes out: batches, gradients, validation.
    model.fit(
        train_loader,
        validation_data=validation_loader,
        shuffle=False,  # of a PyDataset, fit() would shuffle whole batches only
        initial_epoch=len(history),
        epochs=epochs,
        callbacks=[*keep_checkpoints(folder, history), _Report(epochs, folder)],
        verbose=1 if sys.stdout.isatty() else 0,  # 1: a progress bar
    )


class _Report(keras.callbacks.Callback):
    """Reports the results of each epoch, which fit() gives as a dictionary."""

    def __init__(self, epochs: int, folder: Path) -> None:
        super().__init__()
        self.epochs, self.folder = epochs, folder

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        # [D10] In Keras's means too, each image counts alike, also in a smaller batch.
        names = "loss", "accuracy", "val_loss", "val_accuracy"
        seconds = time.perf_counter() - self.start
        results = Epoch(epoch + 1, *(logs[name] for name in names), seconds)
        report_epoch(results, self.epochs, self.folder)


def evaluate(model: keras.Model, loader: Batches) -> tuple[float, float]:
    """Return the mean loss and the accuracy over all images; nothing is learned."""
    loss, accuracy = model.evaluate(loader, verbose=0)
    return loss, accuracy
