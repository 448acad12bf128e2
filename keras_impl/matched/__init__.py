"""The matched program in Keras: what makes it equal to the PyTorch side."""
