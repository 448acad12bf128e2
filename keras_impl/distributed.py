"""Train on more than one device: one process, with a copy of the model on each.

`python -m keras_impl --data FOLDER --devices 2` trains on two GPUs. With one device,
the functions of this chapter change nothing.
"""

import keras
import tensorflow as tf

from shared.errors import UserError
from shared.program import BATCH_SIZE, Images


def prepare_devices(device: str, count: int) -> None:
    """Require enough GPUs, or split the CPU into virtual devices.

    This has to come before anything is computed. Virtual devices are no faster than the
    CPU, and are there to try a program out.

    Args:
        device: "cuda" or "cpu".
        count: how many devices share each batch.

    Raises:
        UserError: there are fewer GPUs, or a batch cannot be divided by the number.
    """
    if count == 1:
        return
    if BATCH_SIZE % count:
        raise UserError(
            f"--devices {count}: these cannot share a batch of {BATCH_SIZE} images "
            f"equally. Use 2 devices, or another number that divides {BATCH_SIZE}."
        )
    if device == "cpu":
        _split_cpu(count)
    num_devices = len(keras.distribution.list_devices())
    if count > num_devices:
        raise UserError(
            f"--devices {count}: {keras.backend.backend()} finds only {num_devices} "
            "CUDA GPUs. Give at most that number, or try it out with --device cpu."
        )


def _split_cpu(count: int) -> None:
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", count)
    else:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )


def require_shares(images: Images, count: int) -> None:
    """Require that the devices can share every batch, also the smaller last one.

    JAX wants equal shares. TensorFlow may give a device one image more than another,
    and then each of these images counts a little less in the mean of the gradients. But
    the first batch needs equal shares there too, and an empty share breaks the
    convolutions of a CPU.

    Raises:
        UserError: a split has a last batch that cannot be shared.
    """
    for folder in (images.train, images.validation):
        num_images = len(list(folder.glob("*/*")))
        rest = num_images % BATCH_SIZE
        equal = keras.backend.backend() == "jax" or num_images < BATCH_SIZE
        if rest % count if equal else 0 < rest < count:
            raise UserError(
                f"--devices {count}: {folder.name}/ has {num_images} images. Its last "
                f"batch has {rest}, which the devices cannot share. Use --limit "
                f"{num_images - rest % count}, or --devices 1."
            )


def copy_to_devices(model: keras.Model, count: int) -> keras.Model:
    """Copy a model to several devices, and train on all of them from now on.

    fit() then gives each device its share of every batch, and applies the mean of their
    gradients. So the batch stays as large as with one device, and so does the learning
    rate. Whatever is built or loaded until `finish` lies on all devices.
    """
    if count == 1:
        return model
    devices = keras.distribution.list_devices()[:count]
    if keras.backend.backend() == "jax":
        parallel = keras.distribution.DataParallel(devices=devices)
        keras.distribution.set_distribution(parallel)
    else:
        strategy = tf.distribute.MirroredStrategy(devices)
        tf.distribute.experimental_set_strategy(strategy)  # as strategy.scope() does
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def finish() -> None:
    """Go on with one device, now that the training is over."""
    if keras.backend.backend() == "jax":
        keras.distribution.set_distribution(None)
    elif tf.distribute.has_strategy():
        tf.distribute.experimental_set_strategy(None)
