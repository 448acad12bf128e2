"""Ten kinds of clothing, each a function that draws one into a sketch."""

import math

import numpy as np

from shared.data.clothes.pen import FABRIC, INSIDE, LINE, SHADE, TRIM, Sketch, arc


def _top(
    sketch: Sketch,
    rng: np.random.Generator,
    sleeve: float,
    cuff: float,
    width: float = 0.45,
    bottom: float = 0.78,
) -> None:
    """Sleeves of this length, body and neck opening: what all tops have in common."""
    angle = rng.uniform(0.12, 0.6)  # of the sleeves, off the vertical
    shoulder = np.array([width, -0.68])
    end = shoulder + sleeve * np.array([math.sin(angle), math.cos(angle)])
    inner = end + cuff * np.array([-math.cos(angle), math.sin(angle)])
    arm = [(width - 0.1, -0.7), shoulder, end, inner, (width - 0.06, -0.24)]
    sketch.pair(np.array(arm))
    waist = width - rng.uniform(0, 0.08)
    side = [(width - 0.05, -0.25), (waist, 0.2), (width, bottom)]
    sketch.symmetric(np.array([(0.19, -0.78), shoulder, *side]))
    sketch.area(arc(0, -0.78, 0.19, rng.uniform(0.1, 0.24), 0, 0.5), INSIDE)


def _knit_top(
    sketch: Sketch, rng: np.random.Generator, sleeve: float, cuff: float
) -> None:
    """A top without buttons; every second one has a print on its chest."""
    _top(sketch, rng, sleeve, cuff)
    if rng.random() < 0.5:
        sketch.area(arc(0, -0.1, *rng.uniform(0.1, 0.25, 2)), TRIM)


def _t_shirt(sketch: Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng, rng.uniform(0.28, 0.44), rng.uniform(0.26, 0.34))


def _longsleeve(sketch: Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng, rng.uniform(1.0, 1.3), rng.uniform(0.13, 0.19))


def _shirt(sketch: Sketch, rng: np.random.Generator) -> None:
    is_long = rng.random() < 0.6
    sleeve = rng.uniform(0.95, 1.2) if is_long else rng.uniform(0.36, 0.46)
    _top(sketch, rng, sleeve, cuff=0.17 if is_long else 0.3)
    contrast = TRIM if rng.random() < 0.3 else FABRIC
    sketch.symmetric([(0.055, -0.64), (0.055, 0.78)], contrast)
    for y in np.linspace(-0.5, 0.68, rng.integers(5, 8)):
        sketch.button(0, y)
    sketch.pair([(0, -0.6), (0.17, -0.88), (0.28, -0.72), (0.17, -0.45)], contrast)


def _outwear(sketch: Sketch, rng: np.random.Generator) -> None:
    """A jacket with a hood and a zip, or a coat with lapels, worn open."""
    width, bottom = rng.uniform(0.5, 0.58), rng.uniform(0.7, 1.05)
    hooded = rng.random() < 0.5
    if hooded:
        sketch.area(arc(0, -0.78, 0.34, 0.34))
    _top(sketch, rng, rng.uniform(1.0, 1.25), 0.24, width, bottom)
    if hooded:
        sketch.line([(0, -0.64), (0, bottom)], LINE, width=0.05)
        for y in np.arange(-0.3, bottom, 0.2):
            sketch.line([(-width + 0.08, y), (width - 0.08, y)], width=0.03)
    else:
        gap, end = rng.uniform(0.02, 0.18), rng.uniform(-0.2, 0.1)
        sketch.symmetric([(0.17, -0.76), (gap, end), (gap, bottom)], INSIDE)
        sketch.pair([(gap, end), (0.1, -0.84), (0.24, -0.88), (0.42, -0.5)])
        for x, y in np.ndindex(2, 3):
            sketch.button((2 * x - 1) * (gap + 0.09), end + 0.12 + 0.2 * y)
    for side in (-1, 1):
        sketch.line([(side * 0.22, 0.2), (side * 0.36, 0.42)], LINE, width=0.04)


def _dress(sketch: Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.22, 0.3), rng.uniform(0.42, 0.68)
    middle, strap = rng.uniform(-0.25, -0.05), rng.uniform(0.14, 0.24)
    chest = [(strap, -0.88), (strap + 0.1, -0.86), (0.33, -0.5)]
    sketch.symmetric([*chest, (waist, middle), (hem, 0.9), (0, 0.94)])
    sketch.area(arc(0, -0.88, strap, rng.uniform(0.15, 0.35), 0, 0.5), INSIDE)
    _pleats(sketch, rng, (waist, hem), (middle, 0.9))
    sketch.line([(-waist, middle), (waist, middle)], TRIM, rng.uniform(0.02, 0.07))


def _skirt(sketch: Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.28, 0.4), rng.uniform(0.5, 0.8)
    top, bottom = rng.uniform(-0.75, -0.55), rng.uniform(0.4, 0.8)
    hip = ((waist + hem) / 2 + rng.uniform(-0.05, 0.08), (top + bottom) / 2)
    sketch.symmetric([(waist, top), hip, (hem, bottom), (0, bottom + 0.08)])
    _pleats(sketch, rng, (waist, hem), (top, bottom))
    sketch.symmetric([(waist, top - 0.04), (waist + 0.01, top + 0.08)])


def _pleats(
    sketch: Sketch,
    rng: np.random.Generator,
    widths: tuple[float, float],
    heights: tuple[float, float],
) -> None:
    """Folds that fan out from the waist to the hem."""
    for share in np.linspace(-0.85, 0.85, rng.integers(3, 9)):
        start = heights[0] + rng.uniform(0.02, 0.4) * np.diff(heights)[0]
        x = np.interp(start, heights, widths) * share
        sketch.line([(x, start), (widths[1] * share, heights[1] - 0.02)], width=0.018)


def _pants(sketch: Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng, rng.uniform(0.75, 0.95), rng.uniform(0.13, 0.24))


def _shorts(sketch: Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng, rng.uniform(-0.02, 0.2), rng.uniform(0.34, 0.42))


def _trousers(
    sketch: Sketch, rng: np.random.Generator, bottom: float, cuff: float
) -> None:
    """Two legs of width `cuff` down to y = `bottom`, waistband, fly and pockets."""
    waist, spread = rng.uniform(0.28, 0.34), rng.uniform(0.05, 0.16)
    ankle = [(spread + cuff, bottom), (spread, bottom + 0.02)]
    crotch = (0, rng.uniform(-0.3, -0.2))
    sketch.pair([(0, -0.85), (waist, -0.85), (0.4, -0.45), *ankle, crotch])
    for side in (-1, 1):
        sketch.line([(side * 0.2, -0.72), (side * 0.37, -0.55)], LINE)
    sketch.line([(0, -0.75), (0.06, -0.72), (0.05, -0.45), (0, -0.4)])
    sketch.symmetric([(waist, -0.88), (waist + 0.02, -0.75)])
    sketch.button(0, -0.815)


def _hat(sketch: Sketch, rng: np.random.Generator) -> None:
    """A hat with a brim, or a cap with a peak."""
    trim = TRIM if rng.random() < 0.5 else FABRIC
    if rng.random() < 0.5:
        crown, top = rng.uniform(0.36, 0.46), rng.uniform(-0.5, -0.3)
        sketch.area(arc(0, 0.3, rng.uniform(0.7, 0.95), 0.2))
        sketch.symmetric([(0.1, top + 0.06), (crown * 0.8, top), (crown, 0.3)])
        sketch.symmetric([(crown * 0.96, 0.12), (crown, 0.32)], trim)
    else:
        height, peak = rng.uniform(0.5, 0.65), rng.uniform(0.85, 1.0)
        sketch.area(arc(-0.06, 0.25, 0.54, height, 0.5, 1))
        for across in (-0.3, 0.2):
            sketch.line(arc(-0.06, 0.25, across, height, 0.75, 1), SHADE, 0.02)
        visor = [(0.1, 0.2), (0.5, 0.12), (peak, 0.3), (peak - 0.1, 0.42), (0.45, 0.3)]
        sketch.area([*visor, (0.1, 0.32)], trim)


def _shoes(sketch: Sketch, rng: np.random.Generator) -> None:
    """A pair, seen from the side, one behind the other; toes to the right."""
    shaft, lift = rng.uniform(-0.75, -0.3), rng.uniform(0.06, 0.12)
    gap = np.array([rng.uniform(0.0, 0.25), -rng.uniform(0.2, 0.28)])
    opening = [(-0.62, shaft), (-0.2, shaft), (-0.25, shaft + 0.05)]
    tongue = [(-0.1, shaft / 2 - 0.05), (0.3, -0.05)]
    toe = [(0.52, 0.0), (0.62, 0.08), (0.64, 0.2), (-0.6, 0.2)]
    sole = [(-0.64, 0.18), (0.66, 0.18), (0.68, 0.2 + lift), (-0.62, 0.2 + lift)]
    for place in (gap, -gap):
        sketch.area(np.array(opening[:2] + tongue + toe) + place)
        sketch.area(np.array([*opening, (-0.55, shaft + 0.05)]) + place, INSIDE)
        sketch.area(sole + place, TRIM)
        for share in np.linspace(0.1, 0.9, 4):
            lace = tongue[0] + share * np.subtract(tongue[1], tongue[0])
            sketch.line([lace + place, lace + place + (-0.12, 0.1)], LINE, width=0.03)


GARMENTS = {
    "dress": _dress,
    "hat": _hat,
    "longsleeve": _longsleeve,
    "outwear": _outwear,
    "pants": _pants,
    "shirt": _shirt,
    "shoes": _shoes,
    "shorts": _shorts,
    "skirt": _skirt,
    "t-shirt": _t_shirt,
}
