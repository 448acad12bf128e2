"""Which GPU this framework can compute on."""

from keras import ops

from keras_impl.instruments.backends import BACKENDS, NAMES, REMEDIES
from keras_impl.matched.device import BACKEND
from shared.gpu import GpuSupport, loaded_cudnn


def describe_gpu() -> GpuSupport:
    """Try a convolution on the first visible GPU, and return what came of it."""
    backend, name, problem = BACKENDS[BACKEND], None, None
    try:
        # Without a GPU, Keras computes on the CPU and says nothing.
        if backend.has_gpu():
            outputs = ops.conv(ops.ones((1, 8, 8, 3)), ops.ones((3, 3, 3, 1)))
            float(ops.sum(outputs))
            name = backend.gpu_name()
        else:
            problem = f"{NAMES[BACKEND]} finds no CUDA GPU"
    except Exception as error:  # each cause has an exception of its own
        problem = f"{NAMES[BACKEND]} says: {error}".splitlines()[0]
    cuda, architectures = backend.build()
    return GpuSupport(
        name=name,
        cuda=cuda,
        cudnn=loaded_cudnn(),
        architectures=architectures,
        problem=problem,
        remedy=REMEDIES[BACKEND],
    )
