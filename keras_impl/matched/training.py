"""Train the head: compile, fit, and a callback at the end of each epoch."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_impl.matched.checkpoint import save_checkpoint
from keras_impl.matched.inference import predict_logits
from keras_impl.matched.model import Classifier, fold_classifier
from keras_impl.matched.optimizer import make_optimizer, read_optimizer
from shared.class_weights import balance_classes
from shared.clock import now
from shared.config import Config
from shared.metrics import EpochRecord, score_epoch
from shared.model.checkpoints import Description, copy_checkpoint


def train(
    model: Classifier,
    train_loader: keras.utils.PyDataset,
    validation_loader: keras.utils.PyDataset,
    description: Description,
    folder: Path | None,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    Images pass through `fold_classifier`'s copy of a frozen backbone, where configured.
    Best is the first epoch with the highest validation accuracy. Training loss and
    accuracy are those of each batch as it was trained on, dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        folder: None to keep no checkpoints.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
    """
    config = description.config
    network = _choose_network(model, config)
    trained = add_dropout_plan(network, model.head)
    log = _LogitsLog(len(train_loader.labels), len(description.classes))
    compile_network(trained, config, config.epochs * len(train_loader), metrics=[log])
    networks, loaders = (model, network), (train_loader, validation_loader)
    callback = _EachEpoch(networks, log, loaders, description, folder, on_epoch)
    class_weights = None
    if config.class_weights:  # [D37] PyTorch: cross_entropy(..., weight=...)
        num_classes = len(description.classes)
        weights = balance_classes(train_loader.labels, num_classes)
        class_weights = dict(enumerate(weights.tolist()))
    # fit() runs what PyTorch's side spells out: batches, gradients, updates.
    trained.fit(
        train_loader.make_pipeline(),
        epochs=config.epochs,
        shuffle=False,  # [D14] the data set brings its own order
        callbacks=[callback],
        class_weight=class_weights,
        verbose=0,
    )
    return callback.history


def _choose_network(model: Classifier, config: Config) -> keras.Model:
    """Return the smallest network that the batches have to pass through."""
    if config.features_are_cached:
        return model.head
    frozen = not model.backbone.trainable_variables
    fixed = frozen and not model.batch_norm_learns
    return fold_classifier(model) if fixed and config.fold_batch_norm else model


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
        loss=make_loss(),
        metrics=metrics,
        jit_compile=network.jit_compile,  # as the model was built
        # Tracing a graph for one step would take longer than the step.
        run_eagerly=num_steps == 1 and not network.jit_compile,
    )


def make_loss() -> keras.losses.Loss:
    # [D13] (labels, predictions), and the predictions are probabilities unless told;
    # PyTorch: (logits, labels), softmax inside.
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


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
        networks: tuple[Classifier, keras.Model],  # to keep, and to validate with
        log: _LogitsLog,
        loaders: tuple[keras.utils.PyDataset, keras.utils.PyDataset],
        description: Description,
        folder: Path | None,
        on_epoch: Callable[[EpochRecord, np.ndarray], None],
    ) -> None:
        super().__init__()
        self.classifier, self.network = networks
        self.log = log
        self.train_loader, self.validation_loader = loaders
        self.description = description
        self.folder = folder
        self.report = on_epoch
        self.history: list[EpochRecord] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = now()
        self.train_loader.set_epoch(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logits, labels = np.array(self.log.logits), np.array(self.log.labels)
        validation_logits = predict_logits(self.network, self.validation_loader)
        validation = validation_logits, self.validation_loader.labels
        seconds = now() - self.start
        record = score_epoch(epoch + 1, (logits, labels), validation, seconds)
        self.history.append(record)
        if self.folder:
            keep_checkpoints(
                self.classifier,
                self.model.optimizer,  # self.model is what fit() was called on
                self.history,
                self.description,
                self.folder,
            )
        self.report(record, validation_logits)
