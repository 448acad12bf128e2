"""The same program as on the other side: Keras runs on its PyTorch backend here."""

from cases.keras_backends.keras_side import build_model, measure

__all__ = ["build_model", "measure"]
