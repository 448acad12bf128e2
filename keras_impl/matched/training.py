"""Train the head: compile, fit, and a callback at the end of each epoch."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_impl.matched.checkpoint import save_checkpoint
from keras_impl.matched.inference import predict_logits
from keras_impl.matched.model import Classifier, fold_classifier
from keras_impl.weights import named_variables
from shared.clock import now
from shared.config import Config
from shared.metrics import EpochRecord, score_epoch
from shared.model.architecture import to_keras_layout, to_torch_layout
from shared.model.checkpoints import (
    MOMENTS,
    Description,
    copy_checkpoint,
    require_optimizer,
)
from shared.model.weights import Arrays

Inputs = np.ndarray | tuple[np.ndarray, np.ndarray]  # images, or with dropout's factors
TrainStep = Callable[[Inputs, np.ndarray], float]


def make_optimizer(
    network: keras.Model,  # noqa: ARG001  Keras finds the variables in compile()
    config: Config,
    num_steps: int,
) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) over what is not frozen.

    With weight decay 0 it is Adam (Kingma and Ba, 2015).

    Args:
        num_steps: length of a cosine schedule (Loshchilov and Hutter, 2017).
    """
    learning_rate = config.learning_rate
    if config.schedule == "cosine":  # [D29] PyTorch: a scheduler beside the optimizer
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    return _Adam(
        learning_rate=learning_rate,
        beta_1=config.adam_beta_1,
        beta_2=config.adam_beta_2,
        epsilon=config.adam_epsilon,
        weight_decay=config.weight_decay or None,  # [D09] decoupled
        name="adam",
    )


class _Adam(keras.optimizers.Adam):
    """[D08] Keras's Adam with epsilon where PyTorch and the paper have it."""

    def update_step(self, gradient, variable, learning_rate) -> None:
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        # What a schedule returns is float32, whatever the variables are.
        learning_rate = ops.cast(learning_rate, variable.dtype)
        # 1 - beta^step; as a difference it would lose digits in float32
        correction_1 = -ops.expm1(step * np.log(self.beta_1))
        correction_2 = -ops.expm1(step * np.log(self.beta_2))
        # JAX's arrays take no Keras variable on their right: subtract(), or it is first
        self.assign_add(momentum, (1 - self.beta_1) * ops.subtract(gradient, momentum))
        square = ops.square(gradient)
        self.assign_add(velocity, (1 - self.beta_2) * ops.subtract(square, velocity))
        divisor = ops.sqrt(velocity / correction_2) + self.epsilon
        self.assign_sub(variable, momentum * (learning_rate / correction_1) / divisor)


def read_optimizer(model: Classifier, optimizer: keras.optimizers.Optimizer) -> Arrays:
    """The optimizer's step and moments by the names of what it trains; copies.

    Returns:
        `step`, and `exp_avg/<name>` and `exp_avg_sq/<name>` in torchvision's names and
        layout; all zero before the first step.
    """
    found: Arrays = {"step": np.array(optimizer.iterations, np.int64)}
    for key, (name, slot) in _moments(model, optimizer).items():
        found[key] = np.array(to_torch_layout(name, np.array(slot)), order="C")
    return found


def load_optimizer(
    model: Classifier, optimizer: keras.optimizers.Optimizer, arrays: Arrays
) -> None:
    """Let the optimizer go on from where `read_optimizer` of either side read it.

    Raises:
        UserError: the state is of another optimizer or model.
    """
    moments = _moments(model, optimizer)
    require_optimizer(
        {name: array.shape for name, array in arrays.items()},
        {
            name: to_torch_layout(name, np.empty(slot.shape)).shape
            for name, slot in moments.values()
        },
    )
    optimizer.iterations.assign(arrays["step"])
    for key, (name, slot) in moments.items():
        slot.assign(to_keras_layout(name, arrays[key]))


def _moments(
    model: Classifier, optimizer: keras.optimizers.Optimizer
) -> dict[str, tuple[str, keras.Variable]]:
    """Name of each array that is trained, and its moment, by the moment's name."""
    optimizer.build(model.trainable_variables)  # or it has none before the first step
    found = {}
    for name, variable in named_variables(model).items():
        if variable.trainable:
            index = optimizer._get_variable_index(variable)
            slots = optimizer._momentums[index], optimizer._velocities[index]
            for moment, slot in zip(MOMENTS, slots, strict=True):
                found[f"{moment}/{name}"] = name, slot
    return found


def make_train_step(
    model: Classifier,
    config: Config,
    num_steps: int,
    optimizer_state: Arrays | None = None,
    on_features: bool = False,
) -> TrainStep:
    """A function that does one update from one batch and returns the batch's loss.

    It takes inputs and labels as a loader for training has them: a pair of images and
    the dropout plan's factors, and (N,) int64.

    Args:
        num_steps: length of the schedule.
        optimizer_state: what `read_optimizer` returned, to go on from there.
        on_features: the inputs are the backbone's features, not images.
    """
    network = _add_dropout_plan(model.head if on_features else model, model.head)
    _compile(network, config, num_steps)
    if optimizer_state:
        load_optimizer(model, network.optimizer, optimizer_state)
    return _make_train_step(network)


def make_plain_train_step(model: keras.Model, learning_rate: float) -> TrainStep:
    """As `make_train_step`, for the plain program: its inputs are images alone."""
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer=optimizer, loss=_loss(), metrics=["accuracy"])
    return _make_train_step(model)


def _make_train_step(network: keras.Model) -> TrainStep:
    def train_step(inputs: Inputs, labels: np.ndarray) -> float:
        logs = network.train_on_batch(inputs, labels, return_dict=True)
        return float(logs["loss"])

    return train_step


def compute_gradients(
    model: Classifier, inputs: Inputs, labels: np.ndarray
) -> tuple[float, Arrays]:
    """Loss of one batch of images and its gradients, in torchvision's layout.

    Only what is not frozen has a gradient. The inputs are those of a training step.
    """
    keeper = _GradientKeeper(learning_rate=0.0, name="keeper")
    network = _add_dropout_plan(model, model.head)
    # Tracing a graph for one step would take longer than the step.
    network.compile(optimizer=keeper, loss=_loss(), jit_compile=False, run_eagerly=True)
    loss = float(network.train_on_batch(inputs, labels))
    kept = {
        variable.path: np.array(gradient)
        for variable, gradient in zip(
            model.trainable_variables, keeper.kept, strict=True
        )
    }
    gradients = {
        name: to_torch_layout(name, kept[variable.path])
        for name, variable in named_variables(model).items()
        if variable.path in kept
    }
    return loss, gradients


class _GradientKeeper(keras.optimizers.Optimizer):
    """An optimizer that keeps the gradients and moves nothing, on any backend."""

    def build(self, variables: list) -> None:
        if not self.built:
            super().build(variables)
            self.kept = self.add_optimizer_variables(variables, ["gradient"])[0]

    def update_step(self, gradient, variable, learning_rate) -> None:  # noqa: ARG002
        self.assign(self.kept[self._get_variable_index(variable)], gradient)


def train(
    model: Classifier,
    train_loader: keras.utils.PyDataset,
    validation_loader: keras.utils.PyDataset,
    description: Description,
    folder: Path,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    Images pass through `fold_classifier`'s copy of a frozen backbone, where configured.
    Best is the first epoch with the highest validation accuracy. Training loss and
    accuracy are those of each batch as it was trained on, dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
    """
    config = description.config
    network = _choose_network(model, config)
    trained = _add_dropout_plan(network, model.head)
    log = _LogitsLog(len(train_loader.labels), len(description.classes))
    _compile(trained, config, config.epochs * len(train_loader), metrics=[log])
    networks, loaders = (model, network), (train_loader, validation_loader)
    callback = _EachEpoch(networks, log, loaders, description, folder, on_epoch)
    # fit() runs what PyTorch's side spells out: batches, gradients, updates.
    trained.fit(
        train_loader.make_pipeline(),
        epochs=config.epochs,
        shuffle=False,  # [D14] the data set brings its own order
        callbacks=[callback],
        verbose=0,
    )
    return callback.history


def _choose_network(model: Classifier, config: Config) -> keras.Model:
    """What the batches pass through: of a frozen backbone, as little as will do."""
    if config.features_are_cached:
        return model.head
    frozen = not model.backbone.trainable_variables
    return fold_classifier(model) if frozen and config.fold_batch_norm else model


def _add_dropout_plan(network: keras.Model, head: keras.Model) -> keras.Model:
    """The same layers in a network with a second input: the dropout plan's factors.

    [D17] PyTorch: a second argument of forward().

    Args:
        network: the head itself, or a network that ends with it after a backbone.
    """
    inputs = keras.Input(network.input_shape[1:], name="input")
    features = inputs if network is head else network.layers[1](inputs)
    inner, relu, dropout, output = head.layers
    kept = keras.Input((inner.units,), name="kept")
    hidden = _drop_units(dropout, relu(inner(features)), kept)
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


def _compile(
    network: keras.Model, config: Config, num_steps: int, metrics: list | None = None
) -> None:
    network.compile(
        optimizer=make_optimizer(network, config, num_steps),
        loss=_loss(),
        metrics=metrics,
        jit_compile=network.jit_compile,  # as the model was built
        # Tracing a graph for one step would take longer than the step.
        run_eagerly=num_steps == 1 and not network.jit_compile,
    )


def _loss() -> keras.losses.Loss:
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

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:  # noqa: ARG002
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
        folder: Path,
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

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        self.start = now()
        self.train_loader.set_epoch(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        logits, labels = np.array(self.log.logits), np.array(self.log.labels)
        validation_logits = predict_logits(self.network, self.validation_loader)
        validation = validation_logits, self.validation_loader.labels
        seconds = now() - self.start
        record = score_epoch(epoch + 1, (logits, labels), validation, seconds)
        self.history.append(record)
        keep_checkpoints(
            self.classifier,
            self.model.optimizer,  # self.model is what fit() was called on
            self.history,
            self.description,
            self.folder,
        )
        self.report(record, validation_logits)
