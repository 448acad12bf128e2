"""The classifier in plain Keras 3; `pytorch_impl` is the same, chapter by chapter."""
