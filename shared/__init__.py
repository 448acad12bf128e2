"""What must be equal on both sides exists here, once, and imports no framework."""
