"""The classifier in plain PyTorch; `keras_impl` is the same, chapter by chapter."""
