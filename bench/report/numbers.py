"""Write numbers in the same way in every table and sentence of the reports."""

DASH = "–"


def percent(share: float | None) -> str:
    """Return a share as a percentage, such as "87.6%" for 0.876."""
    return DASH if share is None else f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """Return a difference of two shares in points, such as "+0.3" for 0.0027."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0


def with_interval(difference: float, interval: tuple[float, float]) -> str:
    """Return a difference and its interval in points: "-1.2 (-2.0 to -0.4)"."""
    low, high = map(points, interval)
    return f"{points(difference)} ({low} to {high})"


def fixed(value: float | None, digits: int = 3) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"


def tiny(value: float | None) -> str:
    """Return a rounding error with two digits, such as "2.3e-06" for 2.345e-6.

    None stands for values that cannot be compared.
    """
    if value is None:
        return "cannot be compared"
    return f"{value:.1e}" if value else "0"


def short(value: float) -> str:
    """Return a time or ratio with about three digits, such as "4,120" or "0.43"."""
    for at_least, digits in ((100, 0), (10, 1), (0.1, 2)):
        if value >= at_least:
            return f"{value:,.{digits}f}"
    return f"{value:.4f}"


def interval_name(confidence: float) -> str:
    """Return the name of an interval, such as "98.75% interval" for 0.9875."""
    return f"{100 * confidence:.4g}% interval"


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
