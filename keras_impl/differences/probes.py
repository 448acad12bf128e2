"""What Keras does by itself at each difference, on the same sample of real images.

Arrays come back in torchvision's names and layout, images as (N, H, W, C); none come
back where this machine cannot show the difference.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from keras_impl.matched.dataset import normalise
from keras_impl.matched.device import synchronise
from keras_impl.matched.model import build_model
from keras_impl.matched.optimizer import _Adam
from keras_impl.precision import policy
from keras_impl.weights import load_arrays
from shared.class_weights import balance_classes
from shared.model.architecture import to_keras_layout, to_torch_layout
from shared.model.weights import Arrays
from shared.sample import (
    BATCH_SIZE,
    HELD_UP_S,
    NUM_EPOCHS,
    Sample,
    batch_size,
    longest_wait,
    seconds_of_a_call,
    slow_batches,
)


def frozen_batch_norm(sample: Sample) -> Arrays:
    """[D01] Which buffers of a frozen backbone three batches of training move."""
    backbone, head = _backbone(sample), _head(sample)
    backbone.trainable = False
    model = keras.Sequential([backbone, head])
    return {"moved": _moved_buffers(sample, model, backbone)}


def batch_norm_epsilon(sample: Sample) -> Arrays:
    """[D02] Features with the framework's epsilon, all else equal."""
    backbone = _matched_backbone(sample)
    _set_epsilon(backbone, layers.BatchNormalization().epsilon)  # 1e-3
    return {"features": backbone.predict_on_batch(_images(sample))}


def padding(sample: Sample) -> Arrays:
    """[D03] Features with the framework's padding, all else equal."""
    backbone = _backbone(sample)  # ((0, 1), (0, 1)): bottom and right
    _set_epsilon(backbone, sample.description.config.batch_norm_epsilon)
    return {"features": backbone.predict_on_batch(_images(sample))}


def axis_order(sample: Sample) -> Arrays:
    """[D04] Images whose channels were moved by the call that comes to mind."""
    return {"images": sample.images}  # the files' own order, nothing to move


def kernel_layout(sample: Sample) -> Arrays:
    """[D05] The first convolution, its kernel copied by the call that comes to mind."""
    kernel = sample.arrays["features.0.0.weight"].T  # (W, H, in, out)!
    outputs = ops.conv(_images(sample)[:8], kernel, strides=2)
    return {"outputs": np.array(outputs)}


def pixel_scale(sample: Sample) -> Arrays:
    """[D06] Inputs in the scale of the framework's published weights."""
    images = sample.images[:8].astype(np.float32)
    return {"images": keras.applications.mobilenet_v2.preprocess_input(images)}


def first_values(sample: Sample) -> Arrays:
    """[D07] First values of a dense layer from 1280 features to 100."""
    layer = layers.Dense(100)
    layer.build((None, 1280))
    return {"weight": np.array(layer.kernel).T}


def adam(sample: Sample) -> Arrays:
    """[D08] The head after many steps of Adam at its defaults."""
    return _train_head(sample, keras.optimizers.Adam())


def weight_decay(sample: Sample) -> Arrays:
    """[D09] The head after many steps of Adam with weight decay."""
    # keras.optimizers.Adam with the formula of PyTorch [D08]
    return _train_head(sample, _Adam(name="adam", epsilon=1e-8, weight_decay=0.01))


def epoch_loss(sample: Sample) -> Arrays:
    """[D10] Loss of an epoch whose last batch is smaller, added up the usual way."""
    head = _head(sample)
    head.compile(loss=_loss())
    data = _features(sample), sample.labels
    loss = head.evaluate(*data, batch_size=BATCH_SIZE, verbose=0)
    return {"loss": np.array(loss)}


def rotation(sample: Sample) -> Arrays:
    """[D11] Images turned by 10 degrees by the framework's layer at its defaults."""
    rotate = layers.RandomRotation((10 / 360, 10 / 360))
    return {"images": np.array(rotate(sample.images, training=True))}


def zoom(sample: Sample) -> Arrays:
    """[D12] A picture zoomed to 0.9 by the framework's layer."""
    zoom_in = layers.RandomZoom((-0.1, -0.1))
    return {"ramp": np.array(zoom_in(sample.ramp[None], training=True))[0]}


def loss_arguments(sample: Sample) -> Arrays:
    """[D13] Loss of logits, from the shortest call."""
    logits = _head(sample).predict_on_batch(_features(sample))
    loss = keras.losses.SparseCategoricalCrossentropy()  # from_logits=False
    return {"loss": np.array(loss(sample.labels, logits))}


def image_order(sample: Sample) -> Arrays:
    """[D14] Order of the images in two epochs, shuffled as the framework does."""
    data = keras.utils.image_dataset_from_directory(
        sample.numbered, image_size=(1, 1), batch_size=BATCH_SIZE, verbose=False
    )
    epochs = [np.concatenate([images for images, _ in data]) for _ in range(2)]
    red, green, _ = np.moveaxis(np.reshape(epochs, (2, -1, 3)).astype(int), 2, 0)
    return {"order": red * 256 + green}


def best_checkpoint(sample: Sample) -> Arrays:
    """[D15] The epoch that is kept as the best of a short training."""
    features, labels = _features(sample), sample.labels
    head, folder = _head(sample), sample.folder / "best"
    head.compile(keras.optimizers.Adam(), _loss())
    keep = keras.callbacks.ModelCheckpoint(  # watches val_loss
        folder / "{epoch}.weights.h5", save_best_only=True, save_weights_only=True
    )
    head.fit(
        *(features[::2], labels[::2]),
        batch_size=len(labels),
        epochs=50,
        validation_data=(features[1::2], labels[1::2]),
        callbacks=[keep],
        verbose=0,
    )
    epochs = [int(path.name.split(".")[0]) for path in folder.iterdir()]
    return {"epoch": np.array(max(epochs))}


def compilation(sample: Sample) -> Arrays:
    """[D16] Features as the framework runs by itself, and as its compiler does."""
    backbone = _matched_backbone(sample)
    backbone.compile(jit_compile=True)  # XLA; "auto" turns it on with a GPU
    compiled = backbone.predict_on_batch(_images(sample)[:8])
    return {"features": _features(sample)[:8], "compiled": compiled}


def dropout_masks(sample: Sample) -> Arrays:
    """[D17] Which units dropout keeps after setting the seed."""
    dropout = layers.Dropout(0.2, seed=sample.description.config.seed)
    return {"kept": np.array(dropout(np.ones((100, 100)), training=True)) > 0}


def jpeg_decoding(sample: Sample) -> Arrays:
    """[D18] Pixels of the photos, decoded."""
    found = {}
    for i, path in enumerate(sample.photos):
        file = tf.io.read_file(str(path))
        found[f"{i}"] = tf.io.decode_jpeg(file).numpy()
        # how to have PyTorch's and Pillow's pixels
        accurate = tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE")
        found[f"accurate/{i}"] = accurate.numpy()
    return found


def device(sample: Sample) -> Arrays:
    """[D19] Whether a new array lies on the GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return {}
    return {"on_gpu": np.array("GPU" in ops.ones(1).device)}


def mode(sample: Sample) -> Arrays:
    """[D20] Logits of a network that was just built and loaded."""
    backbone = _matched_backbone(sample)
    network = keras.Sequential([backbone, _head(sample)])
    return {"logits": np.array(network(_images(sample)))}  # inference mode


def freed_memory(sample: Sample) -> Arrays:
    """[D21] Page faults of one batch, in a process started as this one was."""
    backbone, images = _backbone(sample), _images(sample)[:BATCH_SIZE]
    backbone.predict_on_batch(images)  # the first pass takes pages for good
    before = getrusage(RUSAGE_SELF).ru_minflt
    features = backbone.predict_on_batch(images)
    faults = getrusage(RUSAGE_SELF).ru_minflt - before
    return {"page_faults": np.array(faults), "features": features}


def tf32(sample: Sample) -> Arrays:
    """[D22] A matrix product on the GPU at the framework's own precision."""
    if not tf.config.list_logical_devices("GPU"):
        return {}
    tf.config.experimental.enable_tensor_float_32_execution(True)  # the default
    product = ops.matmul(_features(sample), sample.arrays["head.inner.weight"].T)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return {"product": np.array(product)}


def running_variance(sample: Sample) -> Arrays:
    """[D23] Running variance after one small batch."""
    layer = layers.BatchNormalization(momentum=0.0)  # the new value alone
    layer(_images(sample)[:8, ::32, ::32], training=True)
    return {"variance": np.array(layer.moving_variance)}


def resizing(sample: Sample) -> Arrays:
    """[D24] Photos in the network's size."""
    load_img = keras.utils.load_img  # takes the nearest pixel
    images = [load_img(path, target_size=(224, 224)) for path in sample.photos]
    return {"images": np.stack(images)} if images else {}


def cropping(sample: Sample) -> Arrays:
    """[D25] A picture as the framework's usual recipe shows it to the network."""
    resize = layers.Resizing(224, 224)
    return {"ramp": np.array(resize(sample.ramp))}


def flip(sample: Sample) -> Arrays:
    """[D26] A picture flipped at random by the framework's layer, many times."""
    layer, ramp = layers.RandomFlip(), sample.ramp[None, ::10, ::10]
    flipped = [layer(ramp, training=True) for _ in range(100)]
    return {"ramps": np.concatenate(flipped)}


def inner_training_mode(sample: Sample) -> Arrays:
    """[D27] Which buffers of a learning backbone move that were told to stand still."""
    backbone, head = _backbone(sample), _head(sample)
    images = keras.Input(sample.images.shape[1:])
    model = keras.Model(images, head(backbone(images, training=False)))
    return {"moved": _moved_buffers(sample, model, backbone)}


def default_decay(sample: Sample) -> Arrays:
    """[D28] The head after many steps of AdamW with its default weight decay."""
    decay = keras.optimizers.AdamW().weight_decay
    # keras.optimizers.AdamW with the formula of PyTorch [D08]
    return _train_head(sample, _Adam(name="adam", epsilon=1e-8, weight_decay=decay))


def schedule(sample: Sample) -> Arrays:
    """[D29] Learning rate at the end of a schedule that nobody calls."""
    cosine = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=10)
    optimizer, weight = keras.optimizers.Adam(cosine), keras.Variable([1.0])
    for _ in range(10):
        optimizer.apply([ops.ones(1)], [weight])
    return {"learning_rate": np.array(optimizer.learning_rate)}


def folder_loader(sample: Sample) -> Arrays:
    """[D32] Which endings of file names the framework's folder loader takes."""
    batches = keras.utils.image_dataset_from_directory(
        sample.endings, image_size=(1, 1), verbose=False
    )
    return {"endings": np.array(sorted(Path(f).suffix for f in batches.file_paths))}


def saved_optimizer(sample: Sample) -> Arrays:
    """[D33] How many of Adam's moments lie in the saved weights of a trained head."""
    head = _head(sample)
    head.compile(keras.optimizers.Adam(), _loss(), jit_compile=False)
    head.train_on_batch(_features(sample), sample.labels)
    path = sample.folder / "head.weights.h5"
    head.save_weights(path)
    with h5py.File(path) as file:
        shapes = [array.shape for array in file["optimizer/vars"].values()]
    return {"moments": np.array(sum(shape != () for shape in shapes))}


def end_of_pass(sample: Sample) -> Arrays:
    """[D34] Longest wait after the last batch of a pass, in seconds."""
    data = tf.data.Dataset.from_generator(
        slow_batches, output_signature=tf.TensorSpec((), tf.int64)
    )
    waited = longest_wait(lambda: data.prefetch(tf.data.AUTOTUNE))
    return {"waited": np.array(waited)} if waited > HELD_UP_S else {}


def depthwise(sample: Sample) -> Arrays:
    """[D35] Seconds of one depthwise convolution, 3x3, of a batch.

    The ledger runs it with Keras on JAX.
    """
    images = ops.convert_to_tensor(sample.channels)
    kernel = ops.full((3, 3, images.shape[-1], 1), 1 / 9, dtype=images.dtype)

    def call() -> None:
        ops.depthwise_conv(images, kernel, padding="same")
        synchronise()  # JAX comes back before it is done

    return {"seconds": np.array(seconds_of_a_call(call))}


def momentum(sample: Sample) -> Arrays:
    """[D36] Head after 300 steps of SGD with momentum under a cosine schedule."""
    num_steps = NUM_EPOCHS * -(-len(sample.labels) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(0.01, num_steps)
    return _train_head(sample, keras.optimizers.SGD(rate, momentum=0.9))


def class_weighting(sample: Sample) -> Arrays:
    """[D37] Loss of a batch with weights for its classes."""
    labels, num_classes = sample.labels, len(sample.description.classes)
    weights = dict(enumerate(balance_classes(labels, num_classes).tolist()))
    head, few = _head(sample), labels[: BATCH_SIZE // 2]
    head.compile(keras.optimizers.SGD(0.0), _loss(), jit_compile=False)
    features = _features(sample)[: len(few)]
    done = head.fit(features, few, batch_size=len(few), class_weight=weights, verbose=0)
    return {"loss": np.array(done.history["loss"][0])}


def brightness(sample: Sample) -> Arrays:
    """[D38] Images made brighter by 0.2."""
    brighten = layers.RandomBrightness((0.2, 0.2))
    images = brighten(sample.images.astype(np.float32), training=True)
    wrapped = brighten(sample.images, training=True)  # bytes: 250 + 51 becomes 45
    return {"images": np.array(images), "wrapped": np.array(wrapped)}


def smoothed_weighting(sample: Sample) -> Arrays:
    """[D39] Mean loss of a batch with weights for its classes and smoothed labels."""
    labels, num_classes = sample.labels, len(sample.description.classes)
    weights = dict(enumerate(balance_classes(labels, num_classes).tolist()))
    head, few = _head(sample), labels[: BATCH_SIZE // 2]
    # Only the loss for labels that are vectors can smooth them.
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    head.compile(keras.optimizers.SGD(0.0), loss, jit_compile=False)
    data = _features(sample)[: len(few)], keras.utils.to_categorical(few, num_classes)
    done = head.fit(*data, batch_size=len(few), class_weight=weights, verbose=0)
    return {"loss": np.array(done.history["loss"][0])}


def kept_gradients(sample: Sample) -> Arrays:
    """[D40] The head after many steps, for which nobody calls zero_grad()."""
    # keras.optimizers.Adam with the formula of PyTorch [D08]
    return _train_head(sample, _Adam(name="adam", epsilon=1e-8))


def prepared_file(sample: Sample) -> Arrays:
    """[D41] Whether reading a checkpoint from a stranger runs code of that file."""
    path, trace = sample.folder / "prepared.keras", sample.folder / "trace"
    name = str(trace)  # a saved function may hold text, but no Path
    touch = layers.Lambda(lambda inputs: open(name, "w").close() or inputs)
    keras.Sequential([keras.Input((1,)), touch]).save(path)
    trace.unlink()  # building the model has run the function
    with suppress(ValueError):  # it refuses to read the function
        keras.models.load_model(path)  # safe_mode=True
    return {"has_run": np.array(trace.exists())}


def batch_of_export(sample: Sample) -> Arrays:
    """[D42] Size of the batches that an exported head takes, 0 for any."""
    head, path = _head(sample), sample.folder / "head.onnx"
    head(_features(sample)[:2])  # the shape of a batch is not kept
    head.export(path, format="onnx", verbose=False)
    return {"size": np.array(batch_size(path))}


def shape_of_targets(sample: Sample) -> Arrays:
    """[D43] Squared error of outputs (N, 1) that equal their targets (N,)."""
    targets = sample.standard_brightness
    return {
        "loss": np.array(keras.losses.MeanSquaredError()(targets, targets[:, None]))
    }


def dropped_maps(_: Sample) -> Arrays:
    """[D44] Which feature maps a dropout layer at a rate of 0.5 sets to zero."""
    images = ops.ones((64, 7, 7, 10))  # (N, H, W, C)
    kept = layers.Dropout(0.5, seed=0)(images, training=True)
    return {"dropped": np.all(np.array(kept) == 0, axis=(1, 2))}


def rmsprop(sample: Sample) -> Arrays:
    """[D45] Head after 300 steps of the framework's RMSprop."""
    return _train_head(sample, keras.optimizers.RMSprop())  # learning_rate=1e-3


def bias_of_lstm(sample: Sample) -> Arrays:
    """[D46] Change of an LSTM's bias in one step of SGD."""
    inputs = _features(sample)[:, :40].reshape(-1, 4, 10)
    constant = keras.initializers.Constant(0.1)
    lstm = layers.LSTM(
        4,
        kernel_initializer=constant,
        recurrent_initializer=constant,
        unit_forget_bias=False,  # its bias is 1 by default, and 0 elsewhere
    )
    model = keras.Sequential([lstm])
    model.compile(keras.optimizers.SGD(1.0), "mean_squared_error")
    model.train_on_batch(inputs, np.ones((len(inputs), 4)))
    return {"change": np.array(lstm.cell.bias)}


def small_gradients(sample: Sample) -> Arrays:
    """[D47] Which weights a step in float16 moves whose gradients are about 1e-9."""
    with policy("float16"):
        layer = layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        model = keras.Sequential([layer, layers.Rescaling(1e-7, dtype="float32")])
        # compile() wraps the optimizer into a LossScaleOptimizer.
        model.compile(keras.optimizers.SGD(1e7), loss=lambda _, outputs: outputs)
    model.train_on_batch(_features(sample)[:BATCH_SIZE], np.zeros((BATCH_SIZE, 1)))
    return {"moved": np.array(layer.kernel) != 0}


PROBES: dict[str, Callable[[Sample], Arrays]] = {
    "D01": frozen_batch_norm,
    "D02": batch_norm_epsilon,
    "D03": padding,
    "D04": axis_order,
    "D05": kernel_layout,
    "D06": pixel_scale,
    "D07": first_values,
    "D08": adam,
    "D09": weight_decay,
    "D10": epoch_loss,
    "D11": rotation,
    "D12": zoom,
    "D13": loss_arguments,
    "D14": image_order,
    "D15": best_checkpoint,
    "D16": compilation,
    "D17": dropout_masks,
    "D18": jpeg_decoding,
    "D19": device,
    "D20": mode,
    "D21": freed_memory,
    "D22": tf32,
    "D23": running_variance,
    "D24": resizing,
    "D25": cropping,
    "D26": flip,
    "D27": inner_training_mode,
    "D28": default_decay,
    "D29": schedule,
    "D32": folder_loader,
    "D33": saved_optimizer,
    "D34": end_of_pass,
    "D35": depthwise,
    "D36": momentum,
    "D37": class_weighting,
    "D38": brightness,
    "D39": smoothed_weighting,
    "D40": kept_gradients,
    "D41": prepared_file,
    "D42": batch_of_export,
    "D43": shape_of_targets,
    "D44": dropped_maps,
    "D45": rmsprop,
    "D46": bias_of_lstm,
    "D47": small_gradients,
}


def _backbone(sample: Sample) -> keras.Model:
    """keras.applications' MobileNetV2 as it comes, up to the features, loaded."""
    network = keras.applications.MobileNetV2(
        sample.images.shape[1:], include_top=False, weights=None, pooling="avg"
    )
    load_arrays(network, sample.arrays)
    return network


def _matched_backbone(sample: Sample) -> keras.Model:
    """The same with PyTorch's padding and epsilon. [D02] [D03]"""
    return build_model(sample.arrays, sample.description).backbone


def _set_epsilon(backbone: keras.Model, epsilon: float) -> None:
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.epsilon = epsilon


def _head(sample: Sample) -> keras.Model:
    """Features to logits, without dropout, loaded."""
    inner, output = (sample.arrays[f"head.{n}.weight"] for n in ("inner", "output"))
    head = keras.Sequential(
        [
            keras.Input((inner.shape[1],)),
            layers.Dense(inner.shape[0], "relu", name="inner"),
            layers.Dense(output.shape[0], name="output"),
        ]
    )
    for name, variable in _head_variables(head).items():
        variable.assign(to_keras_layout(name, sample.arrays[name]))
    return head


def _head_variables(head: keras.Model) -> dict[str, keras.Variable]:
    return {
        f"head.{layer.name}.{name}": variable
        for layer in head.layers
        for name, variable in (("weight", layer.kernel), ("bias", layer.bias))
    }


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _images(sample: Sample) -> np.ndarray:
    """Images scaled as the weights want them, (N, H, W, 3)."""
    return normalise(sample.images.astype(np.float32), sample.description)


@cache
def _features(sample: Sample) -> np.ndarray:
    """Features of the sample's images, (N, 1280), inference mode."""
    return _matched_backbone(sample).predict_on_batch(_images(sample))


def _train_head(sample: Sample, optimizer: keras.optimizers.Optimizer) -> Arrays:
    """The head's arrays after a training on the sample's features, by name."""
    head = _head(sample)
    head.compile(optimizer, _loss(), jit_compile=False)
    data = {"x": _features(sample), "y": sample.labels, "batch_size": BATCH_SIZE}
    head.fit(**data, epochs=NUM_EPOCHS, shuffle=False, verbose=0)
    return {
        name: to_torch_layout(name, np.array(variable))
        for name, variable in _head_variables(head).items()
    }


def _moved_buffers(
    sample: Sample, model: keras.Model, backbone: keras.Model
) -> np.ndarray:
    """Which of the backbone's buffers three batches of eight move, as booleans."""
    names = ("moving_mean", "moving_variance")
    buffers = [array for array in backbone.variables if array.name in names]
    before = [np.array(buffer) for buffer in buffers]
    model.compile(keras.optimizers.SGD(1e-3), _loss(), jit_compile=False)
    images, labels = _images(sample)[:24], sample.labels[:24]
    model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
    pairs = zip(before, buffers, strict=True)
    return np.array([not np.array_equal(*pair) for pair in pairs])
