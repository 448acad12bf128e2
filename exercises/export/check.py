"""Export a small network, and run the file in onnxruntime without the framework."""

import tempfile
from pathlib import Path
from types import ModuleType

import onnxruntime
import torch
from torch import nn

from exercises.expectations import NotYet, expect, expect_close
from exercises.references import draw


class Network(nn.Module):
    """A convolution, batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features (N, 4)."""
        return self.layers(images).mean(dim=(2, 3))


def check(answer: ModuleType) -> None:
    """Compare the file's features with the model's, for three sizes of a batch."""
    torch.manual_seed(0)
    model = Network()
    images = draw(5, 3, 8, 8) + 1
    with torch.inference_mode():
        wanted = model.eval()(torch.from_numpy(images)).numpy()
    model.train()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        answer.export_onnx(model, path)
        moved = path.rename(Path(folder, "moved.onnx"))
        others = [file.name for file in Path(folder).iterdir() if file != moved]
        expect(
            not others,
            f"the export needs a second file, {', '.join(others)}, and whoever gets "
            "the .onnx file alone cannot run it: look at external_data.",
        )
        session = onnxruntime.InferenceSession(moved.read_bytes())
    for count in (2, 1, 5):
        where = f"a batch of {count}"
        features = _run(session, images[:count], where)
        advice = "this is not what the model computes in evaluation mode"
        expect_close(features, wanted[:count], where, advice)


def _run(session: onnxruntime.InferenceSession, images, where: str):
    name = session.get_inputs()[0].name
    try:
        return session.run(None, {name: images})[0]
    except Exception as error:  # onnxruntime's errors have no common class of their own
        reason = " ".join(str(error).split())
        raise NotYet(
            f"onnxruntime refuses {where}: look at the sizes that the file takes. "
            f"It says: {reason}"
        ) from error
