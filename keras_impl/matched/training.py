"""Train the head, then the backbone: compile, fit, a callback for each epoch."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_impl.matched.checkpoint import save_checkpoint
from keras_impl.matched.inference import predict_logits
from keras_impl.matched.model import (
    Classifier,
    fold_classifier,
    set_backbone_trainable,
)
from keras_impl.matched.optimizer import make_optimizer, read_optimizer
from shared.class_weights import balance_classes
from shared.clock import now
from shared.config import Config
from shared.metrics import EpochRecord, score_epoch
from shared.model.checkpoints import Description, copy_checkpoint
from shared.phases import Phase, plan_phases


def train(
    model: Classifier,
    train_loader: keras.utils.PyDataset,
    validation_loader: keras.utils.PyDataset,
    description: Description,
    folder: Path | None,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
    image_loaders: tuple[keras.utils.PyDataset, keras.utils.PyDataset] | None = None,
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    The head is trained on the frozen backbone. Then, where configured, fine-tuning
    trains the backbone too. Best is the first epoch of all with the highest validation
    accuracy. Training loss and accuracy are those of each batch as it was trained on,
    dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        folder: None to keep no checkpoints.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
        image_loaders: two loaders of images for fine-tuning, where the others bring
            features; None if they bring images.
    """
    history: list[EpochRecord] = []

    def finish_epoch(
        record: EpochRecord, optimizer: keras.optimizers.Optimizer, logits: np.ndarray
    ) -> None:
        history.append(record)
        if folder:
            keep_checkpoints(model, optimizer, history, description, folder)
        on_epoch(record, logits)

    for phase in plan_phases(description.config):
        loaders = train_loader, validation_loader
        if image_loaders and not phase.on_features:
            loaders = image_loaders
        _train_phase(model, phase, loaders, finish_epoch)
    return history


def _train_phase(
    model: Classifier,
    phase: Phase,
    loaders: tuple[keras.utils.PyDataset, keras.utils.PyDataset],
    finish_epoch: Callable[[EpochRecord, keras.optimizers.Optimizer, np.ndarray], None],
) -> None:
    """Train the epochs of a phase with an optimizer of its own."""
    train_loader, _ = loaders
    network = _choose_network(model, phase)
    trained = add_dropout_plan(network, model.head)
    num_classes = model.output_shape[-1]
    log = _LogitsLog(len(train_loader.labels), num_classes)
    num_steps = len(phase.epochs) * len(train_loader)
    compile_network(trained, phase.config, num_steps, metrics=[log])
    class_weights = None
    if phase.config.class_weights:  # [D37] PyTorch: in the loss function
        weights = balance_classes(train_loader.labels, num_classes)
        class_weights = dict(enumerate(weights.tolist()))
    # fit() runs what PyTorch's side spells out: batches, gradients, updates.
    trained.fit(
        train_loader.make_pipeline(),
        initial_epoch=phase.epochs.start - 1,
        epochs=phase.epochs.stop - 1,
        shuffle=False,  # [D14] the data set brings its own order
        callbacks=[_EachEpoch(network, log, loaders, finish_epoch)],
        class_weight=class_weights,
        verbose=0,
    )


def _choose_network(model: Classifier, phase: Phase) -> keras.Model:
    """Freeze what the phase does not train, and return the smallest network for it.

    Images pass through `fold_classifier`'s copy of a backbone that stays as it is,
    where configured.
    """
    learns, first_block = phase.batch_norm_learns, phase.first_block or 0
    set_backbone_trainable(model, phase.backbone_learns, learns, first_block)
    if phase.on_features:
        return model.head
    return (
        model if learns or not phase.config.fold_batch_norm else fold_classifier(model)
    )


def add_dropout_plan(network: keras.Model, head: keras.Model) -> keras.Model:
    """Return the same layers with a second input, the dropout plan's factors.

    [D17] PyTorch: a second argument of forward().

    Args:
        network: the head itself, or a network that ends with it after a backbone.
    """
    inputs = keras.Input(network.input_shape[1:], name="input")
    features = inputs if network is head else network.layers[1](inputs)
    *hidden_layer, dropout, output = head.layers
    hidden = features
    for layer in hidden_layer:
        hidden = layer(hidden)
    kept = keras.Input(hidden.shape[1:], name="kept")
    hidden = _drop_units(dropout, hidden, kept)
    trained = keras.Model((inputs, kept), output(hidden))
    trained.jit_compile = network.jit_compile
    return trained


def _drop_units(dropout: keras.layers.Dropout, hidden, kept):  # noqa: ARG001
    """[D17] Multiply by the plan, in place of the layer that draws masks itself."""
    return hidden * kept


def keep_checkpoints(
    model: Classifier,
    optimizer: keras.optimizers.Optimizer,
    history: list[EpochRecord],
    description: Description,
    folder: Path,
) -> None:
    """Save `last`, and `best` if this epoch's validation accuracy is a new maximum."""
    # [D15] keras.callbacks.ModelCheckpoint would watch the validation loss.
    record = history[-1]
    state = read_optimizer(model, optimizer)
    last = save_checkpoint(model, folder, "last", description, record.epoch, state)
    earlier = [past.validation_accuracy for past in history[:-1]]
    if record.validation_accuracy > max(earlier, default=-1):
        copy_checkpoint(last, "best")


def compile_network(
    network: keras.Model, config: Config, num_steps: int, metrics: list | None = None
) -> None:
    network.compile(
        optimizer=make_optimizer(network, config, num_steps),
        loss=make_loss(config.label_smoothing),
        metrics=metrics,
        jit_compile=network.jit_compile,  # as the model was built
        # Tracing a graph for one step would take longer than the step.
        run_eagerly=num_steps == 1 and not network.jit_compile,
    )


def make_loss(label_smoothing: float = 0.0) -> keras.losses.Loss:
    # [D13] (labels, predictions), and the predictions are probabilities unless told;
    # PyTorch: (logits, labels), softmax inside.
    if label_smoothing:
        return _SmoothedCrossEntropy(label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class _SmoothedCrossEntropy(keras.losses.Loss):
    """Keras smooths only labels that are vectors; PyTorch: an argument of the loss."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        return keras.losses.categorical_crossentropy(
            ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype),
            y_pred,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )


class _LogitsLog(keras.metrics.Metric):
    """Keeps the logits of every training sample for shared.metrics. [D10]

    fit() averages batch by batch; PyTorch's loop has the logits at hand.
    """

    def __init__(self, num_samples: int, num_classes: int) -> None:
        super().__init__(name="logits_log")
        self.logits = self.add_variable((num_samples, num_classes), "zeros")
        # TensorFlow keeps int32 on the CPU, where XLA on a GPU may not touch it; "int"
        # is int64 there.
        self.labels = self.add_variable((num_samples,), "zeros", dtype="int")
        self.seen = self.add_variable((), "zeros", dtype="int")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        count = ops.shape(y_pred)[0]
        steps = ops.cast(ops.arange(count, dtype="int32"), self.seen.dtype)
        places = (self.seen + steps)[:, None]
        self.logits.assign(ops.scatter_update(self.logits, places, y_pred))
        labels = ops.cast(ops.reshape(y_true, (-1,)), self.labels.dtype)
        self.labels.assign(ops.scatter_update(self.labels, places, labels))
        self.seen.assign_add(ops.cast(count, self.seen.dtype))

    def result(self):
        return self.seen + 0  # a tensor, which JAX asks for


class _EachEpoch(keras.callbacks.Callback):
    """What PyTorch's loop does around the batches of each epoch.

    Choose their order; afterwards validate, record, keep, report.
    """

    def __init__(
        self,
        network: keras.Model,  # to validate with
        log: _LogitsLog,
        loaders: tuple[keras.utils.PyDataset, keras.utils.PyDataset],
        finish_epoch: Callable[
            [EpochRecord, keras.optimizers.Optimizer, np.ndarray], None
        ],
    ) -> None:
        super().__init__()
        self.network = network
        self.log = log
        self.train_loader, self.validation_loader = loaders
        self.finish_epoch = finish_epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = now()
        self.train_loader.set_epoch(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        trained = np.array(self.log.logits), np.array(self.log.labels)
        validation_logits = predict_logits(self.network, self.validation_loader)
        validation = validation_logits, self.validation_loader.labels
        record = score_epoch(epoch + 1, trained, validation, now() - self.start)
        # self.model is what fit() was called on
        self.finish_epoch(record, self.model.optimizer, validation_logits)
