"""What PyTorch does by itself: probes that show it, switches that leave it in."""
