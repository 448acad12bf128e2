"""Times of both sides: how they are measured, and what they are compared with."""
