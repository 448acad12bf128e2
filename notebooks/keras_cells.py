# %% [markdown]
# # Classify clothes with Keras, from the first photo to ONNX
#
# You take a network that was trained on a million photos, teach it to tell clothes
# apart, and export it to a file that runs without Keras. The functions are those of
# the program `keras_impl`. [pytorch.ipynb](pytorch.ipynb) does the same with PyTorch,
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
clones = [path for path in (here, *here.parents) if (path / "keras_impl").is_dir()]
project = clones[0] if clones else here / "project"
if not clones:
    if not PROJECT_URL:
        sys.exit("This is no clone of the project. Set PROJECT_URL in this cell.")
    if not project.is_dir():
        subprocess.run(["git", "clone", "--depth=1", PROJECT_URL, project], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)  # it knows --group
    groups = [f"--group={project}/pyproject.toml:{g}" for g in ("keras", "notebook")]
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
OUTPUT = Path("output", "keras")
# These warnings are for the authors of packages.
for category in (DeprecationWarning, FutureWarning):
    warnings.simplefilter("ignore", category)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # hides most of TensorFlow's notes

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from PIL import Image

from shared.data.dataset import find_folder
from shared.model.weights import KERAS_MEAN, KERAS_STD, Scaling
from shared.program import find_images, print_ranking, read_history


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
from keras_impl.dataset import ENDINGS

# %%
data = find_folder(DATA, progress=lambda *_: None)
images = find_images(data, ENDINGS, LIMIT, SEED)
print("Folder:", data.name)
paths = [min((images.train / name).iterdir()) for name in images.classes]
show([Image.open(path).convert("RGB") for path in paths], images.classes)

# %% [markdown]
# ## Device and precision
#
# Keras computes on the GPU, if there is one. Nothing has to be moved there.
#
# In 16 bits, large batches take less time and memory on a GPU. Some CPUs have fast
# instructions for bfloat16. `set_precision` chooses before the model is built.

# %%
from keras_impl.device import find_device
from keras_impl.precision import in_float32, set_precision

# %%
device = find_device("auto")
set_precision("float32")  # or "bfloat16", or on a GPU "float16"
print("The device is:", device)
print("Ones on it:", keras.ops.ones(2))

# %% [markdown]
# ## Seeds

# %%
keras.utils.set_random_seed(SEED)
print("Random numbers:", keras.random.uniform([3]))
keras.utils.set_random_seed(SEED)
print("The same again:", keras.random.uniform([3]))

# %% [markdown]
# ## Preprocessing
#
# The network was trained on images with this scale, so it has to get ours with the same
# one. The order of the axes stays: Keras has the channels last.

# %%
from keras_impl.dataset import SIZE, make_normalisation

# %%
photo = images.example
with Image.open(photo) as file:
    square = file.convert("RGB").resize(SIZE)
pixels = np.asarray(square)
normalised = make_normalisation(Scaling(KERAS_MEAN, KERAS_STD))(pixels)
normalised = keras.ops.convert_to_numpy(normalised)
print("Before:", pixels.shape, pixels.dtype, pixels.min(), "to", pixels.max())
print("After:", normalised.shape, normalised.dtype)
print(f"After: {normalised.min():.2f} to {normalised.max():.2f}")
titles = ["before", "after (below 0 is black)"]
show([pixels, normalised.clip(0, 1)], titles, columns=2)

# %% [markdown]
# ## Pretrained backbone
#
# All layers together classify an image by the 1000 classes of ImageNet. None of them is
# quite one of ours, but the layers before the last one have learned what images look
# like. The picture shows what the first layer makes of the photo.

# %%
from keras_impl.inference import classify, guess_imagenet, load_image
from keras_impl.model import load_pretrained
from keras_impl.weights import load_arrays, named_variables, read_arrays

# %%
network, scaling, knows_imagenet = load_pretrained(Path(WEIGHTS) if WEIGHTS else None)
if knows_imagenet:
    print_ranking("ImageNet's classes:", guess_imagenet(network, photo, scaling))
else:
    print("These weights have no ImageNet classes, so there is no guess.")
first_layer = keras.Model(network.input, network.get_layer("Conv1_relu").output)
batch = load_image(photo, scaling)[None]
maps = np.array(first_layer(batch))[0].transpose(2, 0, 1)  # (32, 112, 112)
clearest = np.argsort(-maps.std(axis=(1, 2)))[:8]
show(maps[clearest], [f"map {number}" for number in clearest], columns=4)

# %% [markdown]
# ## Load images
#
# `image_dataset_from_directory` reads the images and makes batches of them, in several
# threads.

# %%
from keras_impl.dataset import make_loader

# %%
train_loader = make_loader(images.train, scaling, training=True)
validation_loader = make_loader(images.validation, scaling)
test_loader = make_loader(images.test, scaling)
batch, labels = next(iter(train_loader))
print("Images:", tuple(batch.shape), batch.dtype)
print("Labels:", labels.numpy()[:10])

# %% [markdown]
# ## Dataset and loader
#
# Such a class can read images from any place. One item is a whole batch.

# %%
from keras_impl.dataset import ImageFiles, make_own_loader

# %%
own_loader = make_own_loader(images.validation, scaling)
batch, labels = own_loader[0]
print("Items:", len(own_loader))
print("The first one:", batch.shape, "of the classes", labels[:10])

# %% [markdown]
# ## Head
#
# The last layer is left out. In its place comes a small network of our own.

# %%
from keras_impl.model import build_model

# %%
model = build_model(network, len(images.classes))
model.get_layer("head").summary()

# %% [markdown]
# ## Freezing
#
# Only the head learns. In Keras, `trainable = False` also keeps batch norm as it is.
# Keras counts its stored means and variances as parameters, PyTorch does not.


# %%
def count(model):
    """Print how many parameters learn."""
    learning = [np.prod(variable.shape) for variable in model.trainable_variables]
    print(f"{sum(learning):,} of {model.count_params():,} parameters learn")


count(model)
norm = model.get_layer("backbone").get_layer("bn_Conv1")
before = np.array(norm.moving_mean)
model(batch, training=True)
print("Batch norm has changed:", not np.array_equal(before, norm.moving_mean))

# %% [markdown]
# ## Dropout
#
# What is left is made larger, so that the sum stays about the same. `fit` switches
# dropout on, `evaluate` and `predict` off.

# %%
ones = keras.ops.ones(10)
_, dropout, _ = model.get_layer("head").layers
print("In training:", dropout(ones, training=True))
print("Afterwards: ", dropout(ones, training=False))

# %% [markdown]
# ## Augmentation
#
# Only training images are changed. The network then learns that clothes stay the same
# when they are turned, moved closer or flipped.

# %%
from keras_impl.augmentation import make_augmentation

# %%
augment = make_augmentation()
versions = [augment(pixels[None])[0] for _ in range(9)]
versions = [keras.ops.convert_to_numpy(image).astype("uint8") for image in versions]
show(versions, [f"version {i}" for i in range(9)], columns=3)

# %% [markdown]
# ## Loss
#
# The loss is the negative logarithm of the probability that the right class gets. It is
# a mistake to forget `from_logits`, but no error says so.

# %%
logits, right = np.array([[2.0, 1.0, 0.0]]), np.array([0])
probabilities = keras.ops.softmax(logits)
print("Probabilities:", probabilities)
print("By hand:      ", -keras.ops.log(probabilities[0, 0]))
loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
print("From logits:  ", loss_function(right, logits))
mistaken = keras.losses.SparseCategoricalCrossentropy()
print("The mistake:  ", mistaken(right, logits))

# %% [markdown]
# ## Optimizer
#
# Adam divides each gradient by its usual size. So in the first step, every parameter
# moves by the learning rate, whether its gradient is small or large.

# %%
parameters = keras.Variable([0.0, 0.0])
optimizer = keras.optimizers.Adam(0.001)
optimizer.apply([np.array([0.01, 100.0], "float32")], [parameters])
print("After one step:", parameters.numpy())

# %% [markdown]
# ## Checkpoint
#
# `fit` calls these callbacks after every epoch.

# %%
from keras_impl.checkpoint import keep_checkpoints, load_checkpoint

# %% [markdown]
# ## Training loop
#
# `fit` has the loop over the batches. A callback of our own reports every epoch.

# %%
from keras_impl.training import evaluate, train

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
model = load_checkpoint(OUTPUT, "best")
loss, accuracy = evaluate(model, test_loader)
print(f"Test loss {loss:.4f}, accuracy {accuracy:.4f}")

confusion = np.zeros((len(images.classes), len(images.classes)), int)
predicted = model.predict(test_loader, verbose=0).argmax(axis=1)
labels = np.concatenate([labels for _, labels in test_loader])
np.add.at(confusion, (labels, predicted), 1)

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
# `train(..., cosine=True)` lowers the learning rate along this curve. In Keras, the
# schedule takes the place of the number, and the optimizer asks it in every step.

# %%
num_steps = EPOCHS * len(train_loader)
schedule = keras.optimizers.schedules.CosineDecay(0.001, num_steps)
rates = [float(schedule(step)) for step in range(num_steps)]
figure, place = plt.subplots(figsize=(5, 3))
place.plot(rates, "o-")
place.set(xlabel="step", ylabel="learning rate")
plt.show()

# %% [markdown]
# ## Fine-tuning
#
# Now the pretrained layers may learn as well, at a hundredth of the learning rate.

# %%
from keras_impl.model import unfreeze

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
from keras_impl.export import export_onnx

# %%
path = OUTPUT / "model.onnx"
export_onnx(model, path)
batch, _ = next(iter(test_loader))
session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
(from_file,) = session.run(None, {"input": batch.numpy()})
from_model = np.array(model(batch, training=False))
print(f"Logits from {from_model.min():.2f} to {from_model.max():.2f}")
print(f"Largest difference: {np.abs(from_file - from_model).max():.1e}")
