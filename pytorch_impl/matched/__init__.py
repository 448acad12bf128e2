"""The matched program in PyTorch: what makes it equal to the Keras side."""
