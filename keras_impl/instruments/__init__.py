"""What the laboratory attaches to a program; a reader of the programs may skip it."""
