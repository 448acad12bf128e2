"""Drawn clothing: the pen, the garments, and the scene they are photographed in."""
