"""Ten kinds of clothing, each a function that draws one into a sketch."""

import math
from dataclasses import dataclass

import numpy as np

from shared.data.clothes.pen import FABRIC, INSIDE, LINE, SHADE, TRIM, Sketch, sag

# --- tops ---


@dataclass
class _Cut:
    """Measures of an upper garment, in garment units."""

    sleeve: float
    cuff: float  # width of the sleeve's end
    shoulder: float = 0.46
    waist: float = 0.42
    hem: float = 0.44
    bottom: float = 0.78
    neck: float = 0.19
    neck_depth: float = 0.14


def _top(sketch: Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """Sleeves, body and neck opening: what all tops have in common."""
    for side in (-1, 1):
        _sleeve(sketch, cut, side, rng.uniform(0.12, 0.6))
    body = [
        (cut.neck, -0.78),
        (cut.shoulder, -0.68),
        (cut.shoulder - 0.05, -0.25),
        (cut.waist, 0.2),
        (cut.hem, cut.bottom),
        (0.0, cut.bottom + 0.03),
    ]
    sketch.symmetric(body)
    _neckline(sketch, cut.neck, -0.78, cut.neck_depth)
    _folds(sketch, cut.waist, -0.1, cut.bottom - 0.1, rng)


def _neckline(sketch: Sketch, half_width: float, y: float, depth: float) -> None:
    """The opening between the front, cut lower, and the back."""
    front, back = sag(half_width, y, depth), sag(half_width, y, 0.03)
    sketch.area(np.concatenate([front, back[::-1]]), INSIDE, radius=0)


def _sleeve(sketch: Sketch, cut: _Cut, side: int, angle: float) -> None:
    """A sleeve hanging `angle` radians off the vertical; side is -1 or 1."""
    down = np.array([math.sin(angle) * side, math.cos(angle)])
    inward = np.array([-math.cos(angle) * side, math.sin(angle)])
    shoulder = np.array([side * cut.shoulder, -0.68])
    end = shoulder + down * cut.sleeve + [side * 0.04, 0]
    armpit = np.array([side * (cut.shoulder - 0.06), -0.24])
    top = np.array([side * (cut.shoulder - 0.1), -0.7])
    sketch.area([top, shoulder, end, end + inward * cut.cuff, armpit])
    sketch.line(np.stack([end, end + inward * cut.cuff]) - down * 0.07)


def _folds(
    sketch: Sketch,
    half_width: float,
    top: float,
    bottom: float,
    rng: np.random.Generator,
) -> None:
    """A few soft creases."""
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(-0.8, 0.8) * half_width, rng.uniform(top, bottom)
        dx, dy = rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.2)
        sketch.line([(x, y), (x + dx / 3, y + dy / 2), (x + dx, y + dy)], width=0.012)


def _print(sketch: Sketch, rng: np.random.Generator) -> None:
    """A badge or some lines of words on the chest, on half of the garments."""
    kind = rng.choice(["none", "none", "badge", "words"])
    if kind == "badge":
        sketch.disc((0, -0.12), rng.uniform(0.1, 0.2), TRIM)
    elif kind == "words":
        for y in (-0.25, -0.13, -0.01)[: rng.integers(1, 4)]:
            half = rng.uniform(0.12, 0.26)
            sketch.line([(-half, y), (half, y)], TRIM, width=0.06)


def _t_shirt(sketch: Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng.uniform(0.28, 0.44), rng.uniform(0.26, 0.34), rng)


def _longsleeve(sketch: Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng.uniform(1.0, 1.3), rng.uniform(0.13, 0.19), rng)


def _knit_top(
    sketch: Sketch, sleeve: float, cuff: float, rng: np.random.Generator
) -> None:
    waist, depth = rng.uniform(0.37, 0.45), rng.uniform(0.1, 0.24)
    cut = _Cut(sleeve, cuff, waist=waist, neck_depth=depth)
    _top(sketch, cut, rng)
    ribbing = TRIM if rng.random() < 0.3 else SHADE
    sketch.line(sag(cut.neck + 0.02, -0.77, depth + 0.03), ribbing, width=0.03)
    _print(sketch, rng)


def _shirt(sketch: Sketch, rng: np.random.Generator) -> None:
    long = rng.random() < 0.6
    cut = _Cut(
        sleeve=rng.uniform(0.95, 1.2) if long else rng.uniform(0.36, 0.46),
        cuff=0.17 if long else 0.3,
        waist=rng.uniform(0.38, 0.45),
        bottom=rng.uniform(0.72, 0.82),
    )
    _top(sketch, cut, rng)
    contrast = TRIM if rng.random() < 0.3 else FABRIC
    sketch.symmetric([(0.055, -0.64), (0.055, cut.bottom)], contrast, radius=0)
    for y in np.linspace(-0.5, cut.bottom - 0.1, rng.integers(5, 8)):
        sketch.disc((0, y), 0.028)
    collar = [(0, -0.6), (0.17, -0.88), (0.28, -0.72), (0.17, -0.45)]
    sketch.pair(collar, contrast)
    if rng.random() < 0.6:
        left, right, top, bottom = 0.14, 0.34, -0.3, -0.08
        tip = ((left + right) / 2, bottom + 0.05)
        pocket = [(left, top), (right, top), (right, bottom), tip, (left, bottom)]
        (sketch.pair if rng.random() < 0.5 else sketch.area)(pocket, FABRIC, 0.01)


def _outwear(sketch: Sketch, rng: np.random.Generator) -> None:
    cut = _Cut(
        sleeve=rng.uniform(1.0, 1.25),
        cuff=rng.uniform(0.21, 0.27),
        shoulder=rng.uniform(0.5, 0.56),
        waist=rng.uniform(0.48, 0.56),
        hem=rng.uniform(0.5, 0.6),
        bottom=rng.uniform(0.7, 1.05),
    )
    if hooded := rng.random() < 0.5:
        hood = [(0.14, -1.1), (0.32, -0.95), (0.36, -0.7), (0.2, -0.5)]
        sketch.symmetric(hood, radius=0.12)
    _top(sketch, cut, rng)
    (_zipped if hooded else _lapelled)(sketch, cut, rng)
    for side in (-1, 1):
        pocket = [(side * 0.22, 0.2), (side * 0.36, 0.42)]
        sketch.line(pocket, LINE, width=0.04)


def _zipped(sketch: Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """A jacket's front, often quilted."""
    if rng.random() < 0.6:
        for y in np.arange(-0.42, cut.bottom - 0.05, 0.2):
            sketch.line(sag(cut.waist - 0.02, y, 0.04), width=0.03)
    sketch.line([(0, -0.64), (0, cut.bottom)], LINE, width=0.05)
    band = [(-cut.hem, cut.bottom - 0.1), (cut.hem, cut.bottom - 0.1)]
    sketch.line(band, width=0.03)


def _lapelled(sketch: Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """A coat's front: worn open, or double-breasted."""
    end = rng.uniform(-0.2, 0.1)
    gap = rng.choice([0.0, rng.uniform(0.08, 0.18)])
    opening = [(0.17, -0.76), (gap + 0.01, end), (gap, cut.bottom + 0.01)]
    sketch.symmetric(opening, INSIDE, radius=0)
    lapel = [(gap, end), (0.1, -0.84), (0.24, -0.88), (0.42, -0.5), (0.3, -0.42)]
    sketch.pair(lapel, TRIM if rng.random() < 0.3 else FABRIC)
    for side in (-1, 1):
        sketch.line([(side * 0.12, -0.6), (side * 0.36, -0.6)], width=0.02)
        for y in np.linspace(end + 0.12, cut.bottom - 0.3, 3):
            sketch.disc((side * (gap + 0.09), y), 0.045)


# --- dresses, skirts and trousers ---


def _dress(sketch: Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.22, 0.3), rng.uniform(0.42, 0.68)
    waist_y, strap = rng.uniform(-0.25, -0.05), rng.uniform(0.14, 0.24)
    if rng.random() < 0.5:
        cut = _Cut(sleeve=rng.uniform(0.2, 0.4), cuff=0.2, shoulder=0.38)
        for side in (-1, 1):
            _sleeve(sketch, cut, side, rng.uniform(0.3, 0.8))
    right = [
        (strap, -0.88),
        (strap + 0.1, -0.86),
        (0.33, -0.5),
        (waist, waist_y),
        (hem, 0.9),
        (0, 0.94),
    ]
    sketch.symmetric(right)
    _neckline(sketch, strap, -0.88, rng.uniform(0.15, 0.35))
    _pleats(sketch, waist, hem, waist_y, 0.9, rng)
    belt = TRIM if rng.random() < 0.4 else SHADE
    sketch.line(sag(waist, waist_y, 0.02), belt, width=rng.uniform(0.02, 0.07))


def _skirt(sketch: Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.28, 0.4), rng.uniform(0.5, 0.8)
    top, bottom = rng.uniform(-0.75, -0.55), rng.uniform(0.4, 0.8)
    hip = (waist + hem) / 2 + rng.uniform(-0.05, 0.08)
    right = [(waist, top), (hip, (top + bottom) / 2), (hem, bottom), (0, bottom + 0.08)]
    sketch.symmetric(right)
    _pleats(sketch, waist, hem, top, bottom, rng)
    band = [(waist, top - 0.04), (waist + 0.01, top + 0.08)]
    sketch.symmetric(band, TRIM if rng.random() < 0.3 else FABRIC, radius=0.02)


def _pleats(
    sketch: Sketch,
    waist: float,
    hem: float,
    top: float,
    bottom: float,
    rng: np.random.Generator,
) -> None:
    """Folds that fan out from the waist to the hem."""
    for share in np.linspace(-0.85, 0.85, rng.integers(3, 9)):
        start = top + rng.uniform(0.02, 0.4) * (bottom - top)
        x = np.interp(start, [top, bottom], [waist, hem]) * share
        sketch.line([(x, start), (hem * share, bottom - 0.02)], width=0.018)


def _pants(sketch: Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng.uniform(0.75, 0.95), rng.uniform(0.13, 0.24), rng)


def _shorts(sketch: Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng.uniform(-0.02, 0.2), rng.uniform(0.34, 0.42), rng)


def _trousers(
    sketch: Sketch, bottom: float, cuff: float, rng: np.random.Generator
) -> None:
    """Two legs of width `cuff` down to y = `bottom`, waistband, fly and pockets."""
    waist, hip, spread = rng.uniform(0.28, 0.34), 0.4, rng.uniform(0.05, 0.16)
    crotch = rng.uniform(-0.3, -0.2)
    ankle = [(spread + cuff, bottom), (spread, bottom + 0.02)]
    leg = [(0, -0.85), (waist, -0.85), (hip, -0.45), *ankle, (0, crotch)]
    sketch.pair(leg, radius=0.03)
    for side in (-1, 1):
        pocket = np.array([(0.2, -0.72), (0.26, -0.6), (0.37, -0.55)])
        sketch.line(pocket * [side, 1], LINE)
        sketch.line((np.array(ankle) - [0, 0.07]) * [side, 1])
    sketch.line([(0, -0.75), (0.06, -0.72), (0.05, -0.45), (0, -0.4)])
    band = [(waist, -0.88), (waist + 0.02, -0.75)]
    sketch.symmetric(band, TRIM if rng.random() < 0.25 else FABRIC, radius=0.02)
    for x in (-0.2, 0.2):
        sketch.line([(x, -0.89), (x, -0.74)], width=0.03)
    sketch.disc((0, -0.815), 0.03)


# --- hats and shoes ---


def _hat(sketch: Sketch, rng: np.random.Generator) -> None:
    (_brimmed_hat, _cap, _beanie)[rng.integers(3)](sketch, rng)


def _brimmed_hat(sketch: Sketch, rng: np.random.Generator) -> None:
    brim, crown = rng.uniform(0.7, 0.95), rng.uniform(0.36, 0.46)
    top = rng.uniform(-0.5, -0.3)
    sketch.area([(-brim, 0.3), (0, 0.02), (brim, 0.3), (0, 0.6)], radius=0.6)
    sides = [(crown * 0.8, top), (crown, 0.26), (crown * 0.5, 0.34), (0, 0.36)]
    sketch.symmetric([(0.1, top + 0.06), *sides], radius=0.1)
    band = [sag(crown, 0.24, 0.11), sag(crown * 0.96, 0.08, 0.1)[::-1]]
    sketch.area(np.concatenate(band), TRIM, radius=0)


def _cap(sketch: Sketch, rng: np.random.Generator) -> None:
    height, peak = rng.uniform(0.5, 0.65), rng.uniform(0.85, 1.0)
    dome = [(-0.6, 0.25), (-0.58, -0.1), (-0.35, 0.25 - height), (0.1, 0.2 - height)]
    sketch.area([*dome, (0.42, -0.1), (0.48, 0.25)], radius=0.25)
    visor = [(0.1, 0.2), (0.5, 0.12), (peak, 0.3), (peak - 0.1, 0.42), (0.45, 0.3)]
    sketch.area([*visor, (0.1, 0.32)], TRIM if rng.random() < 0.5 else FABRIC, 0.12)
    crown = (-0.12, 0.24 - height)
    for x in (-0.3, 0.22):
        sketch.line([crown, (x, 0.0), (x * 1.1, 0.24)], SHADE, 0.02)
    sketch.disc(crown, 0.04, TRIM)


def _beanie(sketch: Sketch, rng: np.random.Generator) -> None:
    height = rng.uniform(0.75, 0.95)
    sketch.symmetric([(0.2, 0.2 - height), (0.5, -0.3), (0.52, 0.3)], radius=0.3)
    for x in np.linspace(-0.4, 0.4, 7):
        sketch.line([(x * 0.4, 0.3 - height), (x, 0.2)])
    sketch.symmetric([(0.55, 0.15), (0.54, 0.42)], radius=0.05)
    for x in np.linspace(-0.48, 0.48, 13):
        sketch.line([(x, 0.17), (x, 0.4)])
    if rng.random() < 0.5:
        sketch.disc((0, 0.16 - height), 0.15, TRIM)


def _shoes(sketch: Sketch, rng: np.random.Generator) -> None:
    """A pair, seen from the side, one behind the other."""
    shaft, lift = rng.uniform(-0.75, -0.3), rng.uniform(0.06, 0.12)
    gap_x, gap_y = rng.uniform(0.0, 0.25), rng.uniform(0.4, 0.55)
    for dx, dy in ((gap_x, -gap_y / 2), (-gap_x, gap_y / 2)):
        _shoe(sketch, np.array([dx, dy + 0.1]), shaft, lift)


def _shoe(sketch: Sketch, offset: np.ndarray, shaft: float, lift: float) -> None:
    """Toe to the right; `shaft` is the height of the opening, `lift` of the sole."""
    upper = [(-0.6, 0.2), (-0.62, shaft), (-0.2, shaft), (-0.1, shaft / 2 - 0.05)]
    upper += [(0.3, -0.05), (0.58, 0.02), (0.64, 0.2)]
    sketch.area(upper + offset, radius=0.08)
    lining = shaft + 0.05
    opening = [(-0.62, shaft), (-0.2, shaft), (-0.25, lining), (-0.55, lining)]
    sketch.area(opening + offset, INSIDE, radius=0.03)
    sole = [(-0.64, 0.18), (0.66, 0.18), (0.68, 0.2 + lift), (-0.62, 0.2 + lift)]
    sketch.area(sole + offset, TRIM, radius=0.05)
    toe_cap = np.array([(0.36, -0.03), (0.4, 0.08), (0.38, 0.18)])
    sketch.line(toe_cap + offset, width=0.02)
    for share in np.linspace(0, 1, 4):
        x = -0.14 + 0.4 * share
        y = np.interp(x, [-0.14, 0.3], [shaft / 2, -0.05]) + 0.02
        lace = np.array([(x, y), (x - 0.12, y + 0.1)])
        sketch.line(lace + offset, LINE, width=0.03)


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
