# %% [markdown]
# # Classify clothes with PyTorch, from the first photo to ONNX
#
# You take a network that was trained on a million photos, teach it to tell clothes
# apart, and export it to a file that runs without PyTorch. The functions are those of
# the program `pytorch_impl`. [keras.ipynb](keras.ipynb) does the same with Keras,
# section by section.
#
# A table below a heading shows where the two frameworks differ. Its links lead to the
# reasons, and a mark such as [D01] in the code means the entry of this number. The
# first cell finds the project, or fetches it into a hosted notebook.

# %%
import os
import subprocess
import sys
import warnings
from pathlib import Path

# In a clone of the project, this cell only finds the project. In a hosted notebook, it
# fetches the project: write here the address from which git can clone it.
PROJECT_URL = ""

here = Path.cwd()
clones = [path for path in (here, *here.parents) if (path / "pytorch_impl").is_dir()]
project = clones[0] if clones else here / "project"
if not clones:
    if not PROJECT_URL:
        sys.exit("This is no clone of the project. Set PROJECT_URL in this cell.")
    if not project.is_dir():
        subprocess.run(["git", "clone", "--depth=1", PROJECT_URL, project], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)  # it knows --group
    groups = [f"--group={project}/pyproject.toml:{g}" for g in ("pytorch", "notebook")]
    subprocess.run([*pip, *groups], check=True)
sys.path.insert(0, str(project))

# %% [markdown]
# With these settings, the notebook takes a few minutes on two CPU cores, since it uses
# only some of the images. A classifier that you want to use needs all of them, and ten
# epochs.

# %%
LIMIT = 200  # images of each split; None takes all
EPOCHS = 4
SEED = 0
# A folder with train/, validation/ and test/, or "synthetic" for drawn images. None
# downloads the clothing photos, and takes drawn images if there is no network.
DATA = os.environ.get("BENCH_DATA")
WEIGHTS = os.environ.get("BENCH_WEIGHTS")  # a file; None takes the published weights
OUTPUT = Path("output", "pytorch")
# These warnings are for the authors of packages.
for category in (DeprecationWarning, FutureWarning):
    warnings.simplefilter("ignore", category)

# %%
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch
from PIL import Image

from shared.data.dataset import find_folder
from shared.model.weights import IMAGENET_MEAN, IMAGENET_STD, Scaling
from shared.program import IMAGE_SIZE_PX, find_images, print_ranking, read_history


def show(images, titles, columns=5):
    """Show images (H, W, 3) with a title above each."""
    rows = -(-len(images) // columns)
    size = (2.2 * columns, 2.5 * rows)
    figure, places = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for place in places.flat:
        place.axis("off")
    for place, image, title in zip(places.flat, images, titles, strict=False):
        place.imshow(image)
        place.set_title(title, fontsize=9)
    figure.tight_layout()
    plt.show()


# %% [markdown]
# ## The images
#
# A data set has three folders, and in each of them a folder of images for every class.
# The network learns from the training images. The validation images say which epoch was
# the best, and the test images how good the result is.

# %%
from pytorch_impl.dataset import ENDINGS

# %%
data = find_folder(DATA, progress=lambda *_: None)
images = find_images(data, ENDINGS, LIMIT, SEED)
print("Folder:", data.name)
paths = [min((images.train / name).iterdir()) for name in images.classes]
show([Image.open(path).convert("RGB") for path in paths], images.classes)

# %% [markdown]
# ## Device and precision
#
# PyTorch computes where the tensors are. So the model and every batch have to be moved
# to the GPU, if there is one.
#
# In 16 bits, large batches take less time and memory on a GPU. Some CPUs have fast
# instructions for bfloat16. `set_precision` chooses before the model is built.

# %%
from pytorch_impl.device import find_device
from pytorch_impl.precision import (
    Float32Linear,
    autocast,
    is_mixed,
    make_scaler,
    set_precision,
    train_mixed_epoch,
)

# %%
device = find_device("auto")
set_precision("float32")  # or "bfloat16", or on a GPU "float16"
print("The device is:", device)
print("Ones on it:", torch.ones(2, device=device))

# %% [markdown]
# ## Seeds

# %%
torch.manual_seed(SEED)
print("Random numbers:", torch.rand(3))
torch.manual_seed(SEED)
print("The same again:", torch.rand(3))

# %% [markdown]
# ## Preprocessing
#
# The network was trained on images with this scale, so it has to get ours with the same
# one. The order of the axes changes as well: PyTorch has the channels first.

# %%
from pytorch_impl.dataset import make_normalisation

# %%
photo = images.example
with Image.open(photo) as file:
    square = file.convert("RGB").resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX))
pixels = np.asarray(square)
normalised = make_normalisation(Scaling(IMAGENET_MEAN, IMAGENET_STD))(square)
print("Before:", pixels.shape, pixels.dtype, pixels.min(), "to", pixels.max())
print("After:", tuple(normalised.shape), normalised.dtype)
print(f"After: {normalised.min():.2f} to {normalised.max():.2f}")
channels_last = normalised.permute(1, 2, 0)
titles = ["before", "after (below 0 is black)"]
show([pixels, channels_last.clip(0, 1)], titles, columns=2)

# %% [markdown]
# ## Pretrained backbone
#
# All layers together classify an image by the 1000 classes of ImageNet. None of them is
# quite one of ours, but the layers before the last one have learned what images look
# like. The picture shows what the first layer makes of the photo.

# %%
from pytorch_impl.inference import classify, guess_imagenet, load_image
from pytorch_impl.model import load_pretrained
from pytorch_impl.weights import load_arrays, named_variables, read_arrays

# %%
network, scaling, knows_imagenet = load_pretrained(Path(WEIGHTS) if WEIGHTS else None)
if knows_imagenet:
    print_ranking("ImageNet's classes:", guess_imagenet(network, photo, scaling))
else:
    print("These weights have no ImageNet classes, so there is no guess.")
with torch.inference_mode():
    batch = load_image(photo, scaling).unsqueeze(0)
    maps = network.features[0](batch)[0].numpy()  # (32, 112, 112)
clearest = np.argsort(-maps.std(axis=(1, 2)))[:8]
show(maps[clearest], [f"map {number}" for number in clearest], columns=4)

# %% [markdown]
# ## Load images
#
# `ImageFolder` reads the images, and `DataLoader` makes batches of them, in several
# processes.

# %%
from pytorch_impl.dataset import make_loader

# %%
train_loader = make_loader(images.train, scaling, training=True)
validation_loader = make_loader(images.validation, scaling)
test_loader = make_loader(images.test, scaling)
batch, labels = next(iter(train_loader))
print("Images:", tuple(batch.shape), batch.dtype)
print("Labels:", labels[:10])

# %% [markdown]
# ## Dataset and loader
#
# Such a class can read images from any place. One item is one image, and the
# `DataLoader` makes batches of items.

# %%
from pytorch_impl.dataset import ImageFiles, make_own_loader

# %%
own_loader = make_own_loader(images.validation, scaling)
image, label = own_loader.dataset[0]
print("Items:", len(own_loader.dataset))
print("The first one:", tuple(image.shape), "of the class", images.classes[label])

# %% [markdown]
# ## Head
#
# The last layer is left out. In its place comes a small network of our own.

# %%
from pytorch_impl.model import build_model

# %%
model = build_model(network, len(images.classes)).to(device)
print(model.head)

# %% [markdown]
# ## Freezing
#
# Only the head learns. In PyTorch, freezing the parameters is not enough. The method
# `train` of the class above therefore keeps batch norm in evaluation mode.


# %%
def count(model):
    """Print how many parameters learn."""
    sizes = [p.numel() for p in model.parameters()]
    learning = [p.numel() for p in model.parameters() if p.requires_grad]
    print(f"{sum(learning):,} of {sum(sizes):,} parameters learn")


count(model)
norm = model.backbone.features[0][1]
before = norm.running_mean.clone()
model.train()
model(batch.to(device))
print("Batch norm has changed:", not torch.equal(before, norm.running_mean))

# %% [markdown]
# ## Dropout
#
# What is left is made larger, so that the sum stays about the same. `train()` switches
# dropout on, `eval()` off.

# %%
ones = torch.ones(10, device=device)
model.train()
print("In training:", model.head.dropout(ones))
model.eval()
print("Afterwards: ", model.head.dropout(ones))

# %% [markdown]
# ## Augmentation
#
# Only training images are changed. The network then learns that clothes stay the same
# when they are turned, moved closer or flipped.

# %%
from pytorch_impl.augmentation import make_augmentation

# %%
augment = make_augmentation()
show([augment(square) for _ in range(9)], [f"version {i}" for i in range(9)], columns=3)

# %% [markdown]
# ## Loss
#
# The loss is the negative logarithm of the probability that the right class gets. It is
# a mistake to give it probabilities, but no error says so.

# %%
logits, right = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0])
probabilities = logits.softmax(dim=1)
print("Probabilities:", probabilities)
print("By hand:      ", -probabilities[0, 0].log())
print("From logits:  ", torch.nn.functional.cross_entropy(logits, right))
mistaken = torch.nn.functional.cross_entropy(probabilities, right)
print("The mistake:  ", mistaken)

# %% [markdown]
# ## Optimizer
#
# Adam divides each gradient by its usual size. So in the first step, every parameter
# moves by the learning rate, whether its gradient is small or large.

# %%
parameters = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.Adam([parameters], lr=0.001)
parameters.grad = torch.tensor([0.01, 100.0])
optimizer.step()
print("After one step:", parameters.data)

# %% [markdown]
# ## Checkpoint
#
# The training below calls `keep` after every epoch.

# %%
from pytorch_impl.checkpoint import keep_checkpoints, load_checkpoint

# %% [markdown]
# ## Training loop
#
# PyTorch has no `fit`. The loop over the batches is your own code.

# %%
from pytorch_impl.training import evaluate, train

# %%
train(model, train_loader, validation_loader, OUTPUT, EPOCHS)

history = read_history(OUTPUT)
figure, places = plt.subplots(1, 2, figsize=(10, 3.5))
for place, name in zip(places, ("loss", "accuracy"), strict=True):
    for split in ("train", "validation"):
        values = [getattr(epoch, f"{split}_{name}") for epoch in history]
        place.plot([epoch.number for epoch in history], values, "o-", label=split)
    place.set(title=name, xlabel="epoch", xticks=[epoch.number for epoch in history])
    place.legend()
plt.show()

# %% [markdown]
# ## Validation
#
# The best model of the training is loaded and has to classify the test images, which it
# has never seen. Each row of the picture is a class, and its numbers say how the images
# of the class were classified.

# %%
model = load_checkpoint(OUTPUT, "best").to(device)
loss, accuracy = evaluate(model, test_loader)
print(f"Test loss {loss:.4f}, accuracy {accuracy:.4f}")

model.eval()
confusion = np.zeros((len(images.classes), len(images.classes)), int)
with torch.inference_mode():
    for batch, labels in test_loader:
        predicted = model(batch.to(device)).argmax(dim=1).cpu()
        np.add.at(confusion, (labels.numpy(), predicted.numpy()), 1)

figure, place = plt.subplots(figsize=(6, 6))
place.imshow(confusion, cmap="Blues")
for row, column in np.ndindex(confusion.shape):
    if number := confusion[row, column]:
        colour = "white" if number > confusion.max() / 2 else "black"
        place.text(column, row, number, ha="center", va="center", color=colour)
place.set(xlabel="predicted", ylabel="class", title="Test images")
place.set_xticks(range(len(images.classes)), images.classes, rotation=90)
place.set_yticks(range(len(images.classes)), images.classes)
plt.show()

# %% [markdown]
# ## Schedule
#
# `train(..., cosine=True)` lowers the learning rate along this curve. In PyTorch, the
# scheduler is an object beside the optimizer, and has a step of its own.

# %%
num_steps = EPOCHS * len(train_loader)
optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.001)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
rates = []
for _ in range(num_steps):
    rates.append(optimizer.param_groups[0]["lr"])
    optimizer.step()
    scheduler.step()
figure, place = plt.subplots(figsize=(5, 3))
place.plot(rates, "o-")
place.set(xlabel="step", ylabel="learning rate")
plt.show()

# %% [markdown]
# ## Fine-tuning
#
# Now the pretrained layers may learn as well, at a hundredth of the learning rate.

# %%
from pytorch_impl.model import unfreeze

# %%
count(model)
model = unfreeze(model)
count(model)
train(
    model,
    train_loader,
    validation_loader,
    OUTPUT / "fine-tuned",
    epochs=1,
    learning_rate=1e-5,
)

# %% [markdown]
# ## Prediction
#
# The function `classify` from above also takes our model, with the names of our
# classes. Give it a file of your own, or the address of a photo.

# %%
ranking = classify(model, photo, images.classes, scaling)
print_ranking("Our classes:", ranking)
with Image.open(photo) as file:
    name, share = max(ranking.items(), key=lambda item: item[1])
    show([file], [f"{name}, {share:.0%}"], columns=1)

# %% [markdown]
# ## ONNX export

# %%
from pytorch_impl.export import export_onnx

# %%
path = OUTPUT / "model.onnx"
export_onnx(model, path)
batch, _ = next(iter(test_loader))
session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
(from_file,) = session.run(None, {"input": batch.numpy()})
with torch.inference_mode():
    from_model = model(batch).numpy()
print(f"Logits from {from_model.min():.2f} to {from_model.max():.2f}")
print(f"Largest difference: {np.abs(from_file - from_model).max():.1e}")
