"""What each side says of a GPU and does with it, where the frameworks' lists are ours.

Each runs in a process of its own: two frameworks in one process abort.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from bench.processes.arms import KERAS_OF_FURTHER_ARMS
from bench.processes.worker_process import HIDDEN

ROOT = Path(__file__).parents[1]
# A GPU that is not there: what a framework is told to do on it, it does on the CPU.
PYTORCH_STUB = """
import torch
from functools import partial
ones = torch.ones
torch.ones = lambda *shape, device=None: ones(*shape)
torch.cuda.is_available = lambda: True
torch.cuda.get_device_name = lambda: "Stub"
torch.cuda.get_arch_list = lambda: ["sm_75", "sm_90"]
"""
TENSORFLOW_STUB = """
import tensorflow as tf
gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
physical, visible = tf.config.list_physical_devices, tf.config.get_visible_devices
def also(known):
    return lambda kind=None: known(kind) + ([gpu] if kind in (None, "GPU") else [])
tf.config.list_physical_devices = also(physical)
tf.config.get_visible_devices = also(visible)
tf.config.experimental.set_memory_growth = lambda *_: None
tf.config.experimental.get_device_details = lambda _: {"device_name": "Stub"}
"""


def in_child(code: str, **variables: str):
    """Run code in a new process, and return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


def describe(side: str, stub: str = "", backend: str = "tensorflow") -> dict:
    code = f"""{stub}
from {side}.instruments.gpu import describe_gpu
print(describe_gpu().model_dump_json())"""
    return in_child(code, KERAS_BACKEND=backend)


def test_pytorch_says_what_it_computes_on():
    found = describe("pytorch_impl", PYTORCH_STUB)
    assert found["name"] == "Stub"
    assert found["problem"] is None
    assert found["architectures"] == ["sm_75", "sm_90"]
    code = "import torch; print(torch.backends.cudnn.version() or 0)"
    if number := in_child(code):
        major, minor, patch = map(int, found["cudnn"].split("."))
        assert major * 10000 + minor * 100 + patch == number


def test_pytorch_says_why_it_cannot():
    found = describe("pytorch_impl")
    assert found["name"] is None
    assert found["problem"].startswith("PyTorch says: ")


def test_keras_says_what_it_computes_on():
    found = describe("keras_impl", TENSORFLOW_STUB)
    assert found["name"] == "Stub"
    assert found["problem"] is None


@pytest.mark.parametrize(
    ("backend", "name"),
    [("tensorflow", "TensorFlow"), ("jax", "JAX"), ("torch", "PyTorch")],
)
def test_keras_says_that_it_finds_none(backend, name):
    if backend == "jax":
        pytest.importorskip("jax")
    found = describe("keras_impl", backend=backend)
    assert found["name"] is None
    assert found["problem"] == f"{name} finds no CUDA GPU"
    assert found["remedy"]


def test_jax_says_its_cuda():
    pytest.importorskip("jax")
    code = """
from types import SimpleNamespace
import json, jax
from keras_impl.instruments.backends import BACKENDS
client = SimpleNamespace(platform_version="cuda 13000")
jax.devices = lambda: [SimpleNamespace(client=client)]
print(json.dumps(BACKENDS["jax"].build()))"""
    assert in_child(code, KERAS_BACKEND="jax") == ["13.0", []]


@pytest.mark.skipif(
    tuple(map(int, version("keras").split(".")[:2])) < KERAS_OF_FURTHER_ARMS,
    reason="this version of Keras has no arm keras-torch",
)
def test_keras_on_torch_keeps_off_a_gpu_that_is_hidden():
    """Whatever the framework lists: on a Mac it would take the GPU by itself."""
    code = """
import json, torch
torch.cuda.is_available = lambda: True
from keras_impl.matched.device import set_up
from shared.config import make_config
set_up(make_config(device="cpu"))
from keras.src.backend.torch.core import get_device
print(json.dumps(get_device()))"""
    assert in_child(code, KERAS_BACKEND="torch", **HIDDEN) == "cpu"


def test_blocks_are_not_compiled_where_there_is_a_gpu():
    """Keras's "auto" asks for the machine's GPUs, and would turn XLA on. [D16]"""
    code = f"""{TENSORFLOW_STUB}
import json, keras, numpy as np
from types import SimpleNamespace
from keras_impl.instruments import blocks
made, model_class = [], keras.Model
def make(*arguments):
    network = model_class(*arguments)
    network.predict_on_batch = lambda _: made.append(network.jit_compile)
    return network
backbone = keras.applications.MobileNetV2((32, 32, 3), include_top=False, weights=None)
backbone.jit_compile = False
keras.Model = make
blocks.compute_blocks(SimpleNamespace(backbone=backbone), np.ones((1, 32, 32, 3)))
print(json.dumps(made))"""
    assert in_child(code) == [False]


AUGMENT = """
import json, numpy as np
from shared.config import make_config
config = make_config(color_jitter=0.2)
"""


def test_pytorch_augments_on_the_cpu():
    """There a batch does not travel, and coordinates are not rounded to TF32."""
    code = f"""{PYTORCH_STUB}{AUGMENT}
from pytorch_impl.matched.augmentation import augment
moved = augment(torch.ones((2, 3, 64, 48)), config, 1, [0, 1])
print(json.dumps(moved.device.type))"""
    assert in_child(code) == "cpu"


def test_keras_augments_on_the_cpu():
    """The second of two CPUs stands for the GPU, which Keras would take by itself."""
    code = f"""{AUGMENT}
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
from keras_impl.matched import augmentation
moved, used = augmentation.ops.image.affine_transform, []
def affine_transform(*arguments, **settings):
    used.append((tf.constant(0) + 1).device[-5:])
    return moved(*arguments, **settings)
augmentation.ops.image.affine_transform = affine_transform
with tf.device("CPU:1"):
    augmentation.augment(np.ones((2, 64, 48, 3), np.float32), config, 1, [0, 1])
print(json.dumps(used))"""
    assert in_child(code) == ["CPU:0"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tensorflow_leaves_the_gpu_to_the_other_backends(backend):
    """Its tf.data reads the files of the plain program on every backend."""
    if backend == "jax":
        pytest.importorskip("jax")
    code = """
import json
from keras_impl.matched.device import set_up
import tensorflow as tf  # after PyTorch: the other order aborts
hidden = []
tf.config.set_visible_devices = lambda *arguments: hidden.append(arguments)
from shared.config import make_config
set_up(make_config(division="plain"))
print(json.dumps(hidden))"""
    assert in_child(code, KERAS_BACKEND=backend) == [[[], "GPU"]]


def test_pytorch_measures_tf32_at_its_own_precision():
    """Whatever the run has chosen, which comes back after the probe. [D22]"""
    code = f"""{PYTORCH_STUB}
import json, numpy as np
from types import SimpleNamespace
from pytorch_impl.differences import probes
matmul, used = torch.backends.cuda.matmul, []
def cuda(tensor):
    used.append(matmul.allow_tf32)
    return tensor
torch.Tensor.cuda = cuda
probes._features = lambda _: torch.eye(3)
sample = SimpleNamespace(arrays={{"head.inner.weight": np.eye(3, dtype="f")}})
matmul.allow_tf32 = True
probes.tf32(sample)
print(json.dumps([used, matmul.allow_tf32]))"""
    assert in_child(code) == [[False, False], True]


def test_keras_measures_tf32_at_its_own_precision():
    code = """
import json, numpy as np, tensorflow as tf
from types import SimpleNamespace
from keras_impl.differences import probes
switch, used = tf.config.experimental, []
def matmul(features, kernel):
    used.append(switch.tensor_float_32_execution_enabled())
    return features
def features(_):
    used.append(switch.tensor_float_32_execution_enabled())
    return np.eye(3)
probes.ops.matmul, probes._features = matmul, features
tf.config.list_logical_devices = lambda _: ["GPU"]
sample = SimpleNamespace(arrays={"head.inner.weight": np.eye(3)})
found = []
for chosen in (False, True):
    switch.enable_tensor_float_32_execution(chosen)
    probes.tf32(sample)
    found.append([*used, switch.tensor_float_32_execution_enabled()])
    used.clear()
print(json.dumps(found))"""
    assert in_child(code) == [[False, True, False], [True, True, True]]


def test_pytorch_pins_its_batches_only_if_asked():
    """Keras cannot, so a run that compares would charge it to one side alone."""
    code = f"""{PYTORCH_STUB}
import json, numpy as np
from pytorch_impl.matched.dataset import make_feature_loader
from shared.config import make_config
from shared.model.checkpoints import Description
def is_pinned(**settings):
    config = make_config(**settings)
    about = Description(config=config, classes=["a"], mean=[0] * 3, std=[1] * 3)
    return make_feature_loader(np.ones((2, 3)), np.zeros(2), about).pin_memory
print(json.dumps([is_pinned(), is_pinned(pin_memory=True)]))"""
    assert in_child(code) == [False, True]


def test_pytorch_tunes_cudnn_only_if_asked():
    code = """
import json, torch
from pytorch_impl.matched.device import set_up
from shared.config import make_config
found = []
for asked in (True, False):
    set_up(make_config(cudnn_benchmark=asked))
    found.append(torch.backends.cudnn.benchmark)
print(json.dumps(found))"""
    assert in_child(code) == [True, False]


ERRORS = {
    "pytorch": """
import torch
errors = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
]""",
    "tensorflow": """
import tensorflow as tf
errors = [tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")]
""",
    "jax": """
import jax
errors = [jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")]""",
}


@pytest.mark.parametrize("framework", ERRORS)
def test_a_batch_that_does_not_fit_is_told_with_a_smaller_one(framework):
    if framework == "jax":
        pytest.importorskip("jax")
    code = f"""{ERRORS[framework]}
import json
from bench.worker.memory import explain
from shared.config import make_config
config = make_config(batch_size=64)
print(json.dumps([explain(error, config) for error in errors]))"""
    for said in in_child(code):
        assert said.startswith("out of memory with batches of 64. ")
        assert said.endswith("--batch-size 32")
