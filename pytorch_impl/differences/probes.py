"""What PyTorch does by itself at each difference, on the same sample of real images.

Arrays come back in torchvision's names and layout, images as (N, H, W, C); none come
back where this machine cannot show the difference.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.io import decode_jpeg, read_file, read_image
from torchvision.transforms import v2

from pytorch_impl.matched.dataset import normalise
from pytorch_impl.matched.model import Classifier
from pytorch_impl.weights import load_arrays
from shared.class_weights import balance_classes
from shared.model.weights import IMAGENET_MEAN, IMAGENET_STD, Arrays
from shared.sample import (
    BATCH_SIZE,
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
    backbone.requires_grad_(False)
    model = nn.Sequential(backbone, head).train()
    return {"moved": _moved_buffers(sample, model, backbone)}


def batch_norm_epsilon(sample: Sample) -> Arrays:
    """[D02] Features with the framework's epsilon, all else equal."""
    return {"features": _features(sample).numpy()}  # nn.BatchNorm2d's own, 1e-5


def padding(sample: Sample) -> Arrays:
    """[D03] Features with the framework's padding, all else equal."""
    return {"features": _features(sample).numpy()}  # padding=1 on all four sides


def axis_order(sample: Sample) -> Arrays:
    """[D04] Images whose channels were moved by the call that comes to mind."""
    images = torch.from_numpy(sample.images).swapaxes(1, 3)  # (N, C, W, H)!
    return {"images": _channels_last(images)}


def kernel_layout(sample: Sample) -> Arrays:
    """[D05] The first convolution, its kernel copied by the call that comes to mind."""
    kernel = torch.from_numpy(sample.arrays["features.0.0.weight"])
    outputs = F.conv2d(_images(sample)[:8], kernel, stride=2)
    return {"outputs": _channels_last(outputs)}


def pixel_scale(sample: Sample) -> Arrays:
    """[D06] Inputs in the scale of the framework's published weights."""
    images = v2.functional.to_dtype(_pixels(sample)[:8], torch.float32, scale=True)
    images = v2.functional.normalize(images, IMAGENET_MEAN, IMAGENET_STD)
    return {"images": _channels_last(images)}


def first_values(sample: Sample) -> Arrays:
    """[D07] First values of a dense layer from 1280 features to 100."""
    layer = nn.Linear(1280, 100)
    return {"weight": layer.weight.detach().numpy()}


def adam(sample: Sample) -> Arrays:
    """[D08] The head after many steps of Adam at its defaults."""
    return _train_head(sample, torch.optim.Adam)


def weight_decay(sample: Sample) -> Arrays:
    """[D09] The head after many steps of Adam with weight decay."""
    return _train_head(sample, torch.optim.Adam, weight_decay=0.01)


def epoch_loss(sample: Sample) -> Arrays:
    """[D10] Loss of an epoch whose last batch is smaller, added up the usual way."""
    data = TensorDataset(_features(sample), torch.from_numpy(sample.labels))
    loader, head, total = DataLoader(data, BATCH_SIZE), _head(sample), 0.0
    with torch.inference_mode():
        for features, labels in loader:
            total += F.cross_entropy(head(features), labels).item()
    return {"loss": np.array(total / len(loader))}


def rotation(sample: Sample) -> Arrays:
    """[D11] Images turned by 10 degrees by the framework's layer at its defaults."""
    rotate = v2.RandomRotation((10, 10))
    return {"images": _channels_last(rotate(_pixels(sample)))}


def zoom(sample: Sample) -> Arrays:
    """[D12] A picture zoomed to 0.9 by the framework's layer."""
    crop = v2.RandomResizedCrop(224, scale=(0.9, 0.9))
    return {"ramp": _channels_last(crop(_ramp(sample)))[0]}


def loss_arguments(sample: Sample) -> Arrays:
    """[D13] Loss of logits, from the shortest call."""
    with torch.inference_mode():
        logits = _head(sample)(_features(sample))
        loss = F.cross_entropy(logits, torch.from_numpy(sample.labels))
    return {"loss": loss.numpy()}


def image_order(sample: Sample) -> Arrays:
    """[D14] Order of the images in two epochs, shuffled as the framework does."""
    data = ImageFolder(sample.numbered, v2.PILToTensor())
    loader = DataLoader(data, BATCH_SIZE, shuffle=True)
    epochs = [torch.cat([images for images, _ in loader]) for _ in range(2)]
    red, green, _ = torch.stack(epochs).int().flatten(2).unbind(2)
    return {"order": (red * 256 + green).numpy()}


def best_checkpoint(sample: Sample) -> Arrays:
    """[D15] The epoch that is kept as the best of a short training."""
    features, labels = _features(sample), torch.from_numpy(sample.labels)
    head, best_epoch, best_accuracy = _head(sample), 0, -1.0
    optimizer = torch.optim.Adam(head.parameters())
    for epoch in range(1, 51):
        _step(head, optimizer, features[::2], labels[::2])
        hits = head(features[1::2]).argmax(dim=1) == labels[1::2]
        accuracy = hits.float().mean().item()
        if accuracy > best_accuracy:
            best_epoch, best_accuracy = epoch, accuracy
    return {"epoch": np.array(best_epoch)}


def compilation(sample: Sample) -> Arrays:
    """[D16] Features as the framework runs by itself, and as its compiler does."""
    # torch.compile would take longer than all other probes together.
    return {"features": _features(sample)[:8].numpy()}


def dropout_masks(sample: Sample) -> Arrays:
    """[D17] Which units dropout keeps after setting the seed."""
    torch.manual_seed(sample.description.config.seed)
    return {"kept": F.dropout(torch.ones(100, 100), 0.2).numpy() > 0}


def jpeg_decoding(sample: Sample) -> Arrays:
    """[D18] Pixels of the photos, decoded."""
    decoded = (decode_jpeg(read_file(str(path))) for path in sample.photos)
    return {f"{i}": _channels_last(image) for i, image in enumerate(decoded)}


def device(sample: Sample) -> Arrays:
    """[D19] Whether a new array lies on the GPU."""
    if not torch.cuda.is_available():
        return {}
    return {"on_gpu": np.array(torch.ones(1).is_cuda)}


def mode(sample: Sample) -> Arrays:
    """[D20] Logits of a network that was just built and loaded."""
    network = nn.Sequential(_backbone(sample), _head(sample))  # in training mode
    with torch.inference_mode():
        return {"logits": network(_images(sample)).numpy()}


def freed_memory(sample: Sample) -> Arrays:
    """[D21] Page faults of one batch, in a process started as this one was."""
    backbone, images = _backbone(sample).eval(), _images(sample)[:BATCH_SIZE]
    with torch.inference_mode():
        backbone(images)  # the first pass takes pages for good
        before = getrusage(RUSAGE_SELF).ru_minflt
        features = backbone(images).numpy()
    faults = getrusage(RUSAGE_SELF).ru_minflt - before
    return {"page_faults": np.array(faults), "features": features}


def tf32(sample: Sample) -> Arrays:
    """[D22] A matrix product on the GPU at the framework's own precision."""
    if not torch.cuda.is_available():
        return {}
    kernel = torch.from_numpy(sample.arrays["head.inner.weight"]).cuda()
    return {"product": (_features(sample).cuda() @ kernel.T).cpu().numpy()}


def running_variance(sample: Sample) -> Arrays:
    """[D23] Running variance after one small batch."""
    layer = nn.BatchNorm2d(3, momentum=1.0)  # the new value alone
    layer(_images(sample)[:8, :, ::32, ::32])  # 7x7 pixels, as in the last blocks
    return {"variance": layer.running_var.numpy()}


def resizing(sample: Sample) -> Arrays:
    """[D24] Photos in the network's size."""
    resize = v2.Resize((224, 224))
    images = [resize(read_image(str(path))) for path in sample.photos]
    return {"images": _channels_last(torch.stack(images))} if images else {}


def cropping(sample: Sample) -> Arrays:
    """[D25] A picture as the framework's usual recipe shows it to the network."""
    prepare = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])
    return {"ramp": _channels_last(prepare(_ramp(sample)))[0]}


def flip(sample: Sample) -> Arrays:
    """[D26] A picture flipped at random by the framework's layer, many times."""
    layer, ramp = v2.RandomHorizontalFlip(), _ramp(sample)[..., ::10, ::10]
    flipped = [layer(ramp) for _ in range(100)]
    return {"ramps": _channels_last(torch.cat(flipped))}


def inner_training_mode(sample: Sample) -> Arrays:
    """[D27] Which buffers of a learning backbone move that were told to stand still."""
    backbone, head = _backbone(sample), _head(sample)
    model = nn.Sequential(backbone, head).train()
    backbone.eval()
    return {"moved": _moved_buffers(sample, model, backbone)}


def default_decay(sample: Sample) -> Arrays:
    """[D28] The head after many steps of AdamW with its default weight decay."""
    return _train_head(sample, torch.optim.AdamW)


def schedule(sample: Sample) -> Arrays:
    """[D29] Learning rate at the end of a schedule that nobody calls."""
    optimizer = torch.optim.Adam(_head(sample).parameters(), lr=1e-3)
    _schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    for _ in range(10):
        optimizer.step()
    return {"learning_rate": np.array(optimizer.param_groups[0]["lr"])}


def folder_loader(sample: Sample) -> Arrays:
    """[D32] Which endings of file names the framework's folder loader takes."""
    found = ImageFolder(sample.endings).samples
    return {"endings": np.array(sorted(Path(file).suffix for file, _ in found))}


def saved_optimizer(sample: Sample) -> Arrays:
    """[D33] How many of Adam's moments lie in the saved weights of a trained head."""
    head = _head(sample)
    optimizer = torch.optim.Adam(head.parameters())
    _step(head, optimizer, _features(sample), torch.from_numpy(sample.labels))
    return {"moments": np.array(len(head.state_dict()) - len(list(head.parameters())))}


def end_of_pass(sample: Sample) -> Arrays:
    """[D34] Longest wait after the last batch of a pass, in seconds."""

    class Batches(IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return slow_batches()

    data = Batches()
    return {"waited": np.array(longest_wait(lambda: DataLoader(data, batch_size=None)))}


def depthwise(sample: Sample) -> Arrays:
    """[D35] Seconds of one depthwise convolution, 3x3, of a batch."""
    images = torch.from_numpy(sample.channels).permute(0, 3, 1, 2)  # channels last
    channels = images.shape[1]
    kernel = torch.full((channels, 1, 3, 3), 1 / 9, dtype=images.dtype)

    def call() -> None:
        F.conv2d(images, kernel, padding=1, groups=channels)

    return {"seconds": np.array(seconds_of_a_call(call))}


def momentum(sample: Sample) -> Arrays:
    """[D36] Head after 300 steps of SGD with momentum under a cosine schedule."""
    return _train_head(sample, torch.optim.SGD, cosine=True, lr=0.01, momentum=0.9)


def class_weighting(sample: Sample) -> Arrays:
    """[D37] Loss of a batch with weights for its classes."""
    labels, num_classes = sample.labels, len(sample.description.classes)
    weight = torch.from_numpy(balance_classes(labels, num_classes))
    few = torch.from_numpy(labels[: BATCH_SIZE // 2])
    with torch.no_grad():
        logits = _head(sample)(_features(sample)[: len(few)])
    return {"loss": F.cross_entropy(logits, few, weight=weight).numpy()}


def brightness(sample: Sample) -> Arrays:
    """[D38] Images made brighter by 0.2."""
    brighten = v2.ColorJitter(brightness=(1.2, 1.2))
    return {"images": _channels_last(brighten(_pixels(sample)))}


def smoothed_weighting(sample: Sample) -> Arrays:
    """[D39] Mean loss of a batch with weights for its classes and smoothed labels."""
    labels, num_classes = sample.labels, len(sample.description.classes)
    weight = torch.from_numpy(balance_classes(labels, num_classes))
    few = torch.from_numpy(labels[: BATCH_SIZE // 2])
    with torch.no_grad():
        logits = _head(sample)(_features(sample)[: len(few)])
    loss = F.cross_entropy(
        logits, few, weight, label_smoothing=0.1, reduction="sum"
    )  # a sum, since the mean would divide by the weights [D37]
    return {"loss": loss.numpy() / len(few)}


def kept_gradients(sample: Sample) -> Arrays:
    """[D40] The head after many steps, for which nobody calls zero_grad()."""
    head, labels = _head(sample), torch.from_numpy(sample.labels)
    optimizer = torch.optim.Adam(head.parameters(), eps=1e-8)
    batches = _features(sample).split(BATCH_SIZE), labels.split(BATCH_SIZE)
    for _ in range(NUM_EPOCHS):
        for features, few in zip(*batches, strict=True):
            F.cross_entropy(head(features), few).backward()
            optimizer.step()
    return _arrays_of(head)


def prepared_file(sample: Sample) -> Arrays:
    """[D41] Whether reading a checkpoint from a stranger runs code of that file."""
    path, trace = sample.folder / "prepared.pt", sample.folder / "trace"

    class Prepared:
        def __reduce__(self) -> tuple:
            return Path.touch, (trace,)  # pickle calls this while it reads

    torch.save({"weights": Prepared()}, path)
    torch.load(path, weights_only=False)  # the default before PyTorch 2.6
    return {"has_run": np.array(trace.exists())}


def batch_of_export(sample: Sample) -> Arrays:
    """[D42] Size of the batches that an exported head takes, 0 for any."""
    path = sample.folder / "head.onnx"
    torch.onnx.export(_head(sample), (_features(sample)[:2],), path, verbose=False)
    return {"size": np.array(batch_size(path))}


def shape_of_targets(sample: Sample) -> Arrays:
    """[D43] Squared error of outputs (N, 1) that equal their targets (N,)."""
    targets = torch.from_numpy(sample.standard_brightness)
    return {"loss": F.mse_loss(targets[:, None], targets).numpy()}  # warns


def dropped_maps(_: Sample) -> Arrays:
    """[D44] Which feature maps a dropout layer at a rate of 0.5 sets to zero."""
    torch.manual_seed(0)
    images = torch.ones(64, 10, 7, 7)  # (N, C, H, W)
    return {"dropped": (nn.Dropout2d(0.5)(images) == 0).all((2, 3)).numpy()}


def rmsprop(sample: Sample) -> Arrays:
    """[D45] Head after 300 steps of the framework's RMSprop."""
    return _train_head(sample, torch.optim.RMSprop, lr=1e-3)


def bias_of_lstm(sample: Sample) -> Arrays:
    """[D46] Change of an LSTM's bias in one step of SGD."""
    inputs = _features(sample)[:, :40].reshape(-1, 4, 10)
    lstm = nn.LSTM(10, 4, batch_first=True)
    for name, array in lstm.named_parameters():
        nn.init.constant_(array, 0.0 if "bias" in name else 0.1)
    outputs = lstm(inputs)[0][:, -1]
    F.mse_loss(outputs, torch.ones_like(outputs)).backward()
    torch.optim.SGD(lstm.parameters(), lr=1.0).step()
    return {"change": (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().numpy()}


def small_gradients(sample: Sample) -> Arrays:
    """[D47] Which weights a step in float16 moves whose gradients are about 1e-9."""
    layer = nn.Linear(1280, 1, bias=False)
    nn.init.zeros_(layer.weight)
    with torch.autocast("cpu", torch.float16):
        outputs = layer(_features(sample)[:BATCH_SIZE])
    loss = outputs.float().mean() * 1e-7
    loss.backward()  # without a GradScaler
    torch.optim.SGD(layer.parameters(), lr=1e7).step()
    return {"moved": (layer.weight != 0).numpy()}


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


def _backbone(sample: Sample) -> nn.Module:
    """torchvision's MobileNetV2 as it comes, up to the features, loaded."""
    return _classifier(sample).backbone


def _head(sample: Sample) -> nn.Module:
    """Features to logits, without dropout, loaded."""
    return _classifier(sample).head


def _classifier(sample: Sample) -> Classifier:
    config = sample.description.config.model_copy(update={"dropout": 0.0})
    classifier = Classifier(len(sample.description.classes), config)
    load_arrays(classifier, sample.arrays)
    return classifier


def _pixels(sample: Sample) -> torch.Tensor:
    return torch.from_numpy(sample.images).permute(0, 3, 1, 2)  # (N, 3, H, W) uint8


def _images(sample: Sample) -> torch.Tensor:
    """Images scaled as the weights want them, (N, 3, H, W)."""
    return normalise(_pixels(sample).float(), sample.description)


def _ramp(sample: Sample) -> torch.Tensor:
    return torch.from_numpy(sample.ramp).permute(2, 0, 1)[None]


def _channels_last(images: torch.Tensor) -> np.ndarray:
    """From (..., C, H, W) to (..., H, W, C)."""
    return images.movedim(-3, -1).numpy()


@cache
def _features(sample: Sample) -> torch.Tensor:
    """Features of the sample's images, (N, 1280), inference mode."""
    with torch.no_grad():
        return _backbone(sample).eval()(_images(sample))


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()


def _train_head(
    sample: Sample,
    make_optimizer: type[torch.optim.Optimizer],
    cosine: bool = False,
    **options: float,
) -> Arrays:
    """The head's arrays after a training on the sample's features, by name."""
    head, labels = _head(sample), torch.from_numpy(sample.labels)
    optimizer = make_optimizer(head.parameters(), **options)
    batches = _features(sample).split(BATCH_SIZE), labels.split(BATCH_SIZE)
    num_steps = NUM_EPOCHS * len(batches[0])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for _ in range(NUM_EPOCHS):
        for batch in zip(*batches, strict=True):
            _step(head, optimizer, *batch)
            if cosine:
                schedule.step()
    return _arrays_of(head)


def _arrays_of(head: nn.Module) -> Arrays:
    return {f"head.{n}": array.numpy() for n, array in head.state_dict().items()}


def _moved_buffers(sample: Sample, model: nn.Module, backbone: nn.Module) -> np.ndarray:
    """Which of the backbone's buffers three batches of eight move, as booleans."""
    before = [buffer.clone() for buffer in backbone.buffers()]
    learnt = [array for array in model.parameters() if array.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=1e-3)
    images, labels = _images(sample)[:24], torch.from_numpy(sample.labels)[:24]
    for batch in zip(images.split(8), labels.split(8), strict=True):
        _step(model, optimizer, *batch)
    pairs = zip(before, backbone.buffers(), strict=True)
    return np.array([not torch.equal(*pair) for pair in pairs])
