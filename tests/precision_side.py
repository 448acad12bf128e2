"""What one side does in 16 bits: `python -m tests.precision_side ARM DATA WEIGHTS OUT`.

Runs in a process of its own, on a few photos, and stores what the tests look at.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import numpy as np

from bench.worker.side import PlainSide, Side
from shared.config import make_config
from shared.dropout import plan_dropout
from shared.model.checkpoints import Description
from shared.model.weights import initial_head, read_weights
from shared.program import find_images, read_history

EPOCHS = 3
NUM_CLASSES = 10
# Trainings of one step: the precision, the factor between a layer in 16 bits and the
# logits, and whether the loss is scaled where the program does so. With the small
# factor, gradients are too small for float16; with the large one, the scaled gradients
# are too large.
STEPS = {
    "faint": ("float16", 1e-7, True),
    "faint, unscaled": ("float16", 1e-7, False),
    "faint, bfloat16": ("bfloat16", 1e-7, True),
    "loud": ("float16", 1e4, True),
    "loud, unscaled": ("float16", 1e4, False),
}


def train_plain(arm: str, data: Path, weights: Path, folder: Path) -> dict:
    """Train the plain program in bfloat16, and load its checkpoint in float32 too."""
    code, export = PlainSide(arm), import_module(f"{arm}_impl.export")
    set_precision = import_module(f"{arm}_impl.precision").set_precision
    images = find_images(data, code.dataset.ENDINGS)
    set_precision("bfloat16")
    network, scaling, _ = code.model.load_pretrained(weights)
    load = code.dataset.make_loader
    train_loader = load(images.train, scaling, training=True)
    loader = load(images.validation, scaling)
    model = code.model.build_model(network, len(images.classes))
    for epochs in (EPOCHS - 1, EPOCHS):
        code.training.train(
            model, train_loader, loader, folder, epochs, 0.003, resume=epochs == EPOCHS
        )
    history = read_history(folder)
    model = code.checkpoint.load_checkpoint(folder, "best")
    batch, _ = next(iter(loader))
    found = {"losses": np.array([epoch.train_loss for epoch in history])}
    found["images"] = np.asarray(batch)
    found |= SIDES[arm].look_at(model, batch, folder)
    ranking = code.inference.classify(model, images.example, images.classes, scaling)
    found["probabilities"] = np.array([*ranking.values()])
    export.export_onnx(model, folder / "model.onnx")

    set_precision("float32")
    network, _, _ = code.model.load_pretrained(weights)
    model = code.model.build_model(network, len(images.classes))
    SIDES[arm].load_parameters(model, folder)
    return found | {"exact": SIDES[arm].predict(model, batch)}


def head_of_matched(arm: str, weights: Path) -> dict:
    """Logits and gradients of the matched head, in bfloat16, from the same features.

    `planted` has those of PyTorch's usual last layer.
    """
    code, given = Side(arm), read_weights(weights)
    config = make_config(precision="bfloat16", image_size_px=32)
    code.device.set_up(config)
    classes = [str(number) for number in range(NUM_CLASSES)]
    description = Description(
        config=config, classes=classes, mean=given.mean, std=given.std
    )
    arrays = given.arrays | initial_head(config, NUM_CLASSES)
    random = np.random.default_rng(0)
    features = random.random((32, 1280), np.float32)
    images = random.standard_normal((32, 32, 32, 3), np.float32)
    if arm == "pytorch":
        images = images.transpose(0, 3, 1, 2)
    kept = plan_dropout(config, 32, 1, range(32))
    labels = np.arange(32) % NUM_CLASSES

    def compute(name: str) -> dict:
        model = code.model.build_model(arrays, description)
        logits = code.inference.predict_batch(model.head, features)
        _, gradients = code.steps.compute_gradients(model, (images, kept), labels)
        found = {"logits": logits, "hidden": SIDES[arm].hidden_units(model, features)}
        found["gradient"] = gradients["head.output.weight"]
        return {f"{name}/{key}": array for key, array in found.items()}

    found = compute("matched")
    if arm == "pytorch":
        code.model.Float32Linear = code.model.nn.Linear
        found |= compute("planted")
    return found | {"output": arrays["head.output.weight"]}


class PyTorch:
    """What the tests look at on PyTorch's side."""

    @staticmethod
    def look_at(model, batch, folder: Path) -> dict:
        import torch

        from pytorch_impl.precision import autocast

        state = torch.load(folder / "last.pt", weights_only=True)
        moments = [m for p in state["optimizer"]["state"].values() for m in p.values()]
        with autocast("cpu"):
            features = model.eval().backbone(batch)
            logits = model.head(features)
            loss = torch.nn.functional.cross_entropy(logits, logits.argmax(dim=1))
        loss.backward()
        learnt = [p for p in model.parameters() if p.requires_grad]
        stored = [a for a in state["model"].values() if a.is_floating_point()]
        return {
            "rounded": logits.detach().numpy(),
            "kind/features": kinds([features]),
            "kind/logits": kinds([logits]),
            "kind/loss": kinds([loss]),
            "kind/gradients": kinds([p.grad for p in learnt]),
            "kind/parameters": kinds(model.parameters()),
            "kind/checkpoint": kinds(stored),
            "kind/optimizer": kinds(moments),
        }

    @staticmethod
    def load_parameters(model, folder: Path) -> None:
        import torch

        state = torch.load(folder / "best.pt", weights_only=True)
        model.load_state_dict(state["model"])

    @staticmethod
    def predict(model, batch) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return model.eval()(batch).numpy()

    @staticmethod
    def hidden_units(model, features: np.ndarray) -> np.ndarray:
        import torch

        from pytorch_impl.precision import autocast

        with torch.inference_mode(), autocast("cpu"):
            hidden = model.head.inner(torch.from_numpy(features)).relu()
        return hidden.float().numpy()

    @staticmethod
    def take_step(precision: str, factor: float, scales: bool) -> dict:
        import torch
        from torch.amp import GradScaler

        from pytorch_impl.precision import make_scaler, set_precision, train_mixed_epoch

        class Scaled(torch.nn.Linear):
            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                return super().forward(inputs).float() * factor

        set_precision(precision)
        model = Scaled(4, 3, bias=False)
        torch.nn.init.zeros_(model.weight)
        scaler = make_scaler("cpu") if scales else GradScaler(enabled=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=1 / factor)
        batch = torch.ones(8, 4), torch.zeros(8, dtype=torch.long)
        loss, _ = train_mixed_epoch(model, [batch], optimizer, None, scaler)
        set_precision("float32")
        return {
            "moved": model.weight.detach().numpy(),
            "loss": np.array(loss),
            "scale": np.array(scaler.get_scale()),
        }


class Keras:
    """What the tests look at on Keras's side."""

    @staticmethod
    def look_at(model, batch, folder: Path) -> dict:
        import keras
        import tensorflow as tf

        backbone, head = model.get_layer("backbone"), model.get_layer("head")
        with tf.GradientTape() as tape:
            features = backbone(batch)
            logits = head(features)
            loss = keras.losses.sparse_categorical_crossentropy(
                tf.argmax(logits, axis=1), logits, from_logits=True
            )
        gradients = tape.gradient(loss, [v.value for v in head.trainable_variables])
        last = keras.models.load_model(folder / "last.keras")
        floats = [v for v in last.optimizer.variables if "float" in v.dtype]
        return {
            "rounded": np.asarray(logits),
            "kind/features": kinds([features]),
            "kind/logits": kinds([logits]),
            "kind/loss": kinds([loss]),
            "kind/gradients": kinds(gradients),
            "kind/parameters": kinds(model.trainable_variables),
            "kind/checkpoint": kinds(last.get_layer("backbone").weights),
            "kind/optimizer": kinds(floats),
        }

    @staticmethod
    def load_parameters(model, folder: Path) -> None:
        model.load_weights(folder / "best.keras")

    @staticmethod
    def predict(model, batch) -> np.ndarray:
        return model.predict_on_batch(batch)

    @staticmethod
    def hidden_units(model, features: np.ndarray) -> np.ndarray:
        inner, relu, _, _ = model.head.layers
        return np.asarray(relu(inner(features))).astype("float32")

    @staticmethod
    def take_step(precision: str, factor: float, scales: bool) -> dict:
        import keras

        from keras_impl.precision import set_precision

        set_precision(precision)
        dense = keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros")
        scaling = keras.layers.Rescaling(factor, dtype="float32")
        model = keras.Sequential([keras.Input((4,)), dense, scaling])
        model.compile(
            optimizer=keras.optimizers.SGD(1 / factor),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            auto_scale_loss=scales,
        )
        loss = model.train_on_batch(np.ones((8, 4), "float32"), np.zeros(8, "int32"))
        set_precision("float32")
        scale = getattr(model.optimizer, "dynamic_scale", 1.0)
        return {
            "moved": np.array(dense.kernel),
            "loss": np.array(loss),
            "scale": np.array(scale),
        }


SIDES = {"pytorch": PyTorch, "keras": Keras}


def kinds(arrays: Iterable) -> np.ndarray:
    """The kinds of numbers in some arrays of a framework, as a text."""
    names = (getattr(array.dtype, "name", str(array.dtype)) for array in arrays)
    return np.array(" ".join(sorted({name.removeprefix("torch.") for name in names})))


def main() -> None:
    arm, *paths = sys.argv[1:]
    data, weights, folder = map(Path, paths)
    found = train_plain(arm, data, weights, folder)
    found |= head_of_matched(arm, weights)
    for name, step in STEPS.items():
        taken = SIDES[arm].take_step(*step)
        found |= {f"{name}/{key}": array for key, array in taken.items()}
    np.savez(folder / "arrays.npz", **found)


if __name__ == "__main__":
    main()
