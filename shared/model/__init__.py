"""The network without a framework: its layers, weights and files."""
