"""How long the networks are trained whose features are compared."""

EPOCHS = 40
