"""What a side does on some devices: `python -m tests.distributed_side SIDE COUNT OUT`.

Trains a small network on the same arrays, in float64 and without anything random, with
the plain program's own `train`. torchrun starts it for PyTorch.
"""

import json
import sys
from pathlib import Path

import numpy as np

from shared.program import read_history

BATCH_SIZE, EPOCHS = 32, 3


def make_arrays(num_images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(num_images)
    return random.normal(size=(num_images, 8)), random.integers(0, 3, num_images)


def make_weights() -> list[np.ndarray]:
    """Kernels (in, out) and biases of two dense layers."""
    random = np.random.default_rng(0)
    return [random.normal(size=size) for size in ((8, 16), (16,), (16, 3), (3,))]


def train_pytorch(_count: int, folder: Path) -> None:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    from pytorch_impl import distributed
    from pytorch_impl.training import train

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    distributed.join_processes("cpu")

    def load(num_images: int, training: bool) -> DataLoader:
        dataset = TensorDataset(*map(torch.from_numpy, make_arrays(num_images)))
        return distributed.share_loader(DataLoader(dataset, BATCH_SIZE), training)

    for name in ("ordered", "shuffled"):
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        model.settings = {}
        weights = make_weights()
        if not distributed.is_first():  # they have to take what the first one has
            weights = [np.zeros_like(array) for array in weights]
        with torch.no_grad():
            for parameter, array in zip(model.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(array.T))
        loaders = load(64, name == "shuffled"), load(45, False)
        train(model, *loaders, folder / name, EPOCHS, learning_rate=0.01)
        assert len(read_history(folder / name)) == EPOCHS  # in all processes
    shares = {
        "validation": list(loaders[1].sampler),
        **{f"epoch {i}": list(loaders[0].sampler) for i in (1, 2)},
        "padded": list(load(53, True).sampler),
        "random": torch.rand(1).item(),
    }
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    (folder / f"shares-{rank}.json").write_text(json.dumps(shares))
    distributed.finish()
    (folder / f"finished-{rank}").touch()


def train_keras(count: int, folder: Path) -> None:
    import keras
    import tensorflow as tf

    from keras_impl import distributed
    from keras_impl.training import train

    is_jax = keras.backend.backend() == "jax"
    keras.backend.set_floatx("float64")
    if is_jax:
        import jax

        jax.config.update("jax_enable_x64", True)
    distributed.prepare_devices("cpu", count)

    def load(num_images: int) -> tf.data.Dataset:
        arrays = make_arrays(num_images)
        return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH_SIZE)

    inner = keras.layers.Dense(16, activation="relu")
    model = keras.Sequential([keras.Input((8,)), inner, keras.layers.Dense(3)])
    model.set_weights(make_weights())
    model = distributed.copy_to_devices(model, count)
    loaders = load(64), load(44 if is_jax else 45)
    train(model, *loaders, folder / "ordered", EPOCHS, learning_rate=0.01)
    distributed.finish()
    again = keras.models.load_model(folder / "ordered" / "last.keras")

    def count_devices(model: keras.Model) -> int:
        if is_jax:
            return len(model.trainable_variables[0].value.sharding.device_set)
        return model.distribute_strategy.num_replicas_in_sync

    used = f"{count_devices(model)} in the training, {count_devices(again)} afterwards"
    (folder / "used").write_text(used)


if __name__ == "__main__":
    side, count, folder = sys.argv[1:]
    {"pytorch": train_pytorch, "keras": train_keras}[side](int(count), Path(folder))
