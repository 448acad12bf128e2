"""The topics of the lesson, in the order in which a program meets them."""

import difflib
import re
from dataclasses import dataclass, field
from itertools import zip_longest

from bench.lesson.source import (
    SIDES,
    Code,
    find_line,
    has_matched,
    list_names,
    read_code,
)
from shared.errors import UserError


@dataclass(frozen=True)
class Topic:
    """One step of the two programs.

    Attributes:
        title: for people; `name` is made of it.
        says: what both sides do, in a sentence.
        pytorch, keras: the code of each plain program; see `read_code`. Codes at the
            same place stand beside each other, and "" is none.
        entries: of docs/differences.md.
        matched: further code that one or both of the matched programs have.
        counterparts: a name of Keras, and the names that have its place in PyTorch,
            with commas between them.
        also: what people look for here although the programs do not use it.
    """

    title: str
    says: str
    pytorch: tuple[str, ...]
    keras: tuple[str, ...]
    entries: tuple[str, ...]
    matched: tuple[str, ...] = ()
    counterparts: dict[str, str] = field(default_factory=dict)
    also: str = ""

    @property
    def name(self) -> str:
        return self.title.lower().replace(" ", "-")

    def codes(self, side: str) -> list[Code]:
        """Return the code of one plain program."""
        return [read_code(side, one) for one in self.references(side) if one]

    def rows(self) -> list[tuple[Code | None, ...]]:
        """Return what stands beside each other, in the order of `SIDES`."""
        return [
            tuple(
                read_code(side, one) if one else None
                for side, one in zip(SIDES, references, strict=True)
            )
            for references in zip_longest(*map(self.references, SIDES))
        ]

    def read_both(self, side: str) -> tuple[str, str]:
        """Return whole functions of one side, those of its plain and matched program.

        The matched program's are those with the same names, and `matched`.
        """
        plain = dict.fromkeys(
            one.partition(":")[0] for one in self.references(side) if one
        )
        matched = [
            one
            for one in dict.fromkeys([*plain, *self.matched])
            if has_matched(side, one)
        ]
        return (
            "\n\n".join(read_code(side, one).text for one in plain),
            "\n\n".join(read_code(side, one, matched=True).text for one in matched),
        )

    def names(self, side: str) -> set[str]:
        """Return the names that the code of one plain program uses."""
        return set().union(*(list_names(code.text) for code in self.codes(side)))

    def references(self, side: str) -> tuple[str, ...]:
        """Return what names the code of one plain program."""
        return {"pytorch": self.pytorch, "keras": self.keras}[side]


WEIGHTS = "weights.load_arrays", "weights.read_arrays", "weights.named_variables"
CHECKPOINT = "checkpoint.keep_checkpoints", "checkpoint.load_checkpoint"
TOPICS = (
    Topic(
        "Load images",
        "Both frameworks read a folder with a sub-folder of images for each class.",
        ("dataset.make_loader", "dataset._make_batches"),
        ("dataset.make_loader",),
        ("D14", "D18", "D32"),
        counterparts={
            "image_dataset_from_directory": "ImageFolder",
            "shuffle": "shuffle",
            "batch_size": "DataLoader",
        },
        also="flow_from_directory, ImageDataGenerator, image_folder, tf.data, "
        "from_tensor_slices, fit_generator",
    ),
    Topic(
        "Dataset and loader",
        "A class of your own reads the files when they are asked for.",
        ("dataset.ImageFiles", "dataset.make_own_loader", "dataset._make_batches"),
        ("dataset.ImageFiles", "dataset.make_own_loader"),
        ("D24", "D31", "D34"),
        ("dataset.ImageDataset",),
        {"PyDataset": "Dataset", "workers": "num_workers", "load_img": "Image"},
        also="Sequence, generator, TensorDataset, from_generator, collate_fn, "
        "IterableDataset, prefetch, cache",
    ),
    Topic(
        "Preprocessing",
        "An image becomes a square of numbers that the pretrained weights expect.",
        ("dataset.make_normalisation", "dataset._make_transform"),
        ("dataset.make_normalisation", "dataset._make_transform"),
        ("D04", "D06", "D24", "D25"),
        ("dataset.normalise",),
        {"Rescaling": "Normalize", "Pipeline": "Compose"},
        also="preprocess_input, ToTensor, CenterCrop, Resize, channels_last, "
        "channels_first, permute, data_format, NCHW, NHWC, "
        "always predicts one class",
    ),
    Topic(
        "Pretrained backbone",
        "MobileNetV2 comes with ImageNet weights, or takes them from a file.",
        ("model.load_pretrained", *WEIGHTS),
        ("model.load_pretrained", *WEIGHTS),
        ("D02", "D03", "D05", "D23"),
        counterparts={"MobileNetV2": "mobilenet_v2", "assign": "copy_"},
        also="include_top, keras.applications, torchvision.models, "
        "get_weights, set_weights, save_weights, load_weights, Conv2D, "
        "Conv2d, DepthwiseConv2D, kernel, padding, same, convert weights",
    ),
    Topic(
        "Freezing",
        "The pretrained layers keep what they have learned, batch norm included.",
        ("model.build_model", "model.Classifier.train", "model.unfreeze"),
        ("model.build_model: trainable", "", "model.unfreeze"),
        ("D01", "D27", "D02", "D23"),
        ("model.set_backbone_trainable", "model._BatchNorm"),
        {"trainable": "requires_grad_, eval", "BatchNormalization": "BatchNorm2d"},
        also="freeze, momentum, epsilon, running_mean, running_var, "
        "moving_mean, moving_variance, training",
    ),
    Topic(
        "Head",
        "Two dense layers turn the features of an image into a logit for each class.",
        ("model.Classifier: settings, head",),
        ("model.build_model: head",),
        ("D07", "D46"),
        counterparts={"Dense": "Linear", "Sequential": "Sequential"},
        also="Flatten, GlobalAveragePooling2D, AdaptiveAvgPool2d, "
        "kernel_initializer, glorot, kaiming, xavier, summary, LSTM, GRU, "
        "unit_forget_bias, bias_ih, bias_hh",
    ),
    Topic(
        "Dropout",
        "Each training step sets some of the head's inner units to zero.",
        ("model.Classifier.__init__: head", "training._train_epoch: model.train"),
        ("model.build_model: Dropout",),
        ("D17", "D44"),
        counterparts={"Dropout": "Dropout"},
        also="SpatialDropout2D, Dropout2d, Dropout3d",
    ),
    Topic(
        "Augmentation",
        "Each epoch sees the training images rotated, zoomed and flipped anew.",
        ("augmentation.make_augmentation",),
        ("augmentation.make_augmentation",),
        ("D11", "D12", "D26", "D38"),
        ("augmentation.augment",),
        {
            "RandomRotation": "RandomRotation",
            "RandomZoom": "RandomResizedCrop",
            "RandomFlip": "RandomHorizontalFlip",
        },
        also="ColorJitter, RandomContrast, RandomBrightness, RandomCrop, "
        "RandomTranslation",
    ),
    Topic(
        "Loss",
        "Cross entropy compares the logits with the index of the right class.",
        ("training._train_epoch: loss",),
        ("training.train: loss",),
        ("D10", "D13", "D37", "D39", "D43"),
        ("training.update", "training.compile_network", "training.make_loss"),
        {
            "SparseCategoricalCrossentropy": "cross_entropy",
            "from_logits": "cross_entropy",
        },
        also="CrossEntropyLoss, NLLLoss, BCEWithLogitsLoss, BCELoss, "
        "CategoricalCrossentropy, BinaryCrossentropy, to_categorical, "
        "one_hot, label_smoothing, class_weight, reduction, nn.Softmax, "
        "softmax twice, MSELoss, mean_squared_error, regression, unsqueeze",
    ),
    Topic(
        "Optimizer",
        "Adam changes the parameters that are not frozen.",
        ("training.train: Adam", "training._train_epoch: optimizer"),
        ("training.train: Adam",),
        ("D08", "D09", "D28", "D45"),
        ("optimizer.make_optimizer", "optimizer._make_update_rule", "optimizer._Adam"),
        {"Adam": "Adam", "optimizer": "optimizer", "learning_rate": "lr"},
        also="AdamW, SGD, RMSprop, rho, alpha, weight_decay, momentum, clipnorm, "
        "clip_grad_norm_, kernel_regularizer, regularizers, l2",
    ),
    Topic(
        "Training loop",
        "Every batch gives a loss, its gradients and a step.",
        ("training.train", "training._train_epoch"),
        ("training.train", "training._Report"),
        ("D10", "D16", "D34", "D40"),
        ("training._train_phase", "training.update"),
        {"fit": "zero_grad, backward, step", "metrics": "num_correct"},
        also="GradientTape, train_step, train_on_batch, CSVLogger, tqdm, "
        "History, History.history, loss explodes, loss does not fall, nan",
    ),
    Topic(
        "Validation",
        "Loss and accuracy of images that the training does not see.",
        ("training.evaluate",),
        ("training.evaluate", "training.train: validation_data"),
        ("D10",),
        counterparts={"evaluate": "inference_mode", "validation_data": "evaluate"},
        also="no_grad, eval, validation_split, Accuracy, torchmetrics",
    ),
    Topic(
        "Checkpoint",
        "The best model is kept, and the newest one, from which a training goes on.",
        (*CHECKPOINT, "training._resume"),
        (*CHECKPOINT, "training.train: resume"),
        ("D15", "D33", "D41"),
        ("checkpoint.save_checkpoint", "checkpoint.load_optimizer_state"),
        {"ModelCheckpoint": "save", "load_model": "load_state_dict"},
        also="EarlyStopping, state_dict, torch.load, save_weights_only, "
        "save_best_only, pickle, h5",
    ),
    Topic(
        "Schedule",
        "The learning rate falls to zero along a cosine.",
        ("training.train: cosine", "training._train_epoch: scheduler"),
        ("training.train: schedule",),
        ("D29", "D36"),
        ("optimizer._make_schedule",),
        {"CosineDecay": "CosineAnnealingLR"},
        also="ReduceLROnPlateau, LearningRateScheduler, StepLR, "
        "ExponentialDecay, OneCycleLR, warmup, lr_scheduler",
    ),
    Topic(
        "Fine-tuning",
        "The pretrained layers learn too, at a small rate; batch norm stays frozen.",
        ("model.unfreeze", "__main__.main: fine_tune"),
        ("model.unfreeze", "__main__.main: fine_tune"),
        ("D01",),
        ("model.set_backbone_trainable", "training._train_phase"),
        {"get_layer": "modules", "layers": "modules"},
        also="unfreeze, freeze, differential learning rates, param_groups",
    ),
    Topic(
        "Prediction",
        "One image from a file or from an address, and its most probable classes.",
        ("inference.classify", "inference.load_image", "inference.guess_imagenet"),
        ("inference.classify", "inference.load_image", "inference.guess_imagenet"),
        ("D04", "D20"),
        ("inference.predict_logits", "inference.predict_batch"),
        {
            "predict": "inference_mode",
            "softmax": "softmax",
            "convert_to_numpy": "numpy",
        },
        also="predict_on_batch, predict_classes, argmax, decode_predictions, "
        "unsqueeze, expand_dims",
    ),
    Topic(
        "ONNX export",
        "One file that runs without the framework, for batches of any size.",
        ("export.export_onnx",),
        ("export.export_onnx",),
        ("D20", "D42"),
        counterparts={
            "export": "export",
            "InputSpec": "dynamic_shapes",
            "opset_version": "opset_version",
        },
        also="onnxruntime, dynamic_axes, tf2onnx, TorchScript, SavedModel, "
        "dynamic batch",
    ),
    Topic(
        "Device and precision",
        "Where the network is computed, in which precision, and what is compiled.",
        (
            "device.find_device",
            "precision.set_precision",
            "precision.autocast",
            "precision.is_mixed",
            "precision.train_mixed_epoch",
            "precision.make_scaler",
            "precision.Float32Linear",
            "training._train_epoch: device",
        ),
        (
            "device.find_device",
            "precision.set_precision",
            "model.build_model: float32",
            "precision.in_float32",
            "precision.policy",
        ),
        ("D16", "D19", "D21", "D22", "D30", "D35", "D47"),
        ("device.set_up",),
        {
            "list_physical_devices": "is_available",
            "set_dtype_policy": "autocast, GradScaler",
        },
        also="cuda, cpu, to, GPU, memory_growth, mixed_precision, mixed precision, "
        "amp, bfloat16, float16, half, dtype policy, mixed_bfloat16, mixed_float16, "
        "LossScaleOptimizer, loss scaling, unscale_, jit_compile, torch.compile, XLA, "
        "TF32",
    ),
    Topic(
        "Seeds",
        "One number fixes the random numbers of a program, but not across frameworks.",
        ("__main__.main: seed",),
        ("__main__.main: seed",),
        ("D07", "D14", "D17"),
        counterparts={"set_random_seed": "manual_seed"},
        also="random_state, seed, deterministic, reproducible, "
        "reproducibility, Generator",
    ),
    Topic(
        "The whole program",
        "The table of contents: from the first image to the exported file.",
        ("__main__.main",),
        ("__main__.main",),
        (),
    ),
)


@dataclass(frozen=True)
class Counterpart:
    """A row of the quick reference.

    Attributes:
        keras, pytorch: names; what has the place of one in the other framework.
        places: file and line of the first use, by side.
    """

    keras: str
    pytorch: str
    topic: Topic
    places: dict[str, tuple[str, int]]


def list_counterparts() -> list[Counterpart]:
    """Return the rows of the quick reference, in the order of the topics."""
    return [
        Counterpart(
            keras,
            pytorch,
            topic,
            {
                "keras": find_line(topic.codes("keras"), keras),
                "pytorch": find_line(
                    topic.codes("pytorch"), pytorch.partition(", ")[0]
                ),
            },
        )
        for topic in TOPICS
        for keras, pytorch in topic.counterparts.items()
    ]


def find_topic(text: str) -> Topic:
    """Return the topic that a user names.

    Args:
        text: a topic, an entry such as "D01", or a name of either framework, such as
            "zero_grad" or "keras.layers.Dropout".

    Raises:
        UserError: there is none; the message lists what there is.
    """
    wanted = text.lower().replace(" ", "-").replace("_", "-")
    for topic in TOPICS:
        if topic.name == wanted:
            return topic
    for topic in TOPICS:
        if text.upper() in topic.entries:
            return topic
    wanted = text.rpartition(".")[2].removesuffix("()").lower()
    for names_of in (_counterparts, _names, _also):
        for topic in TOPICS:
            if wanted in {name.lower() for name in names_of(topic)}:
                return topic
    raise _unknown(text)


def _counterparts(topic: Topic) -> set[str]:
    of_pytorch = (text.split(", ") for text in topic.counterparts.values())
    return {*topic.counterparts}.union(*of_pytorch)


def _names(topic: Topic) -> set[str]:
    return set().union(*(topic.names(side) for side in SIDES))


def _also(topic: Topic) -> set[str]:
    return {name.rpartition(".")[2] for name in topic.also.split(", ")}


def _unknown(text: str) -> UserError:
    if re.fullmatch(r"[Dd]\d+", text):
        entries = sorted({entry for topic in TOPICS for entry in topic.entries})
        return UserError(
            f"pairs: the ledger has no entry {text}. It has {', '.join(entries)}."
        )
    every = set().union(*(_names(topic) for topic in TOPICS))
    near = difflib.get_close_matches(text, sorted(every), 3, cutoff=0.75)
    similar = f" The programs have the names {', '.join(near)}." if near else ""
    return UserError(
        f"pairs: there is no topic {text!r}, and neither program uses such a name."
        f"{similar} The topics are {', '.join(topic.name for topic in TOPICS)}."
    )
