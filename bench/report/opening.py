"""The first page of a report: the claim of sameness, and the main figures."""

from dataclasses import dataclass
from typing import Literal

from bench.records import ParityRecord, Results
from bench.report.cards import Card, make_cards
from bench.report.division import is_plain
from bench.report.figures import arm_styles
from bench.report.words import checks_summary

State = Literal["proven", "failed", "open"]


@dataclass(frozen=True)
class Claim:
    """Statement on whether the run proves its programs to be the same."""

    state: State
    text: str


@dataclass(frozen=True)
class Opening:
    """Content of a report above its first section."""

    claim: Claim | None
    checks: Claim | None
    colors: dict[str, str]  # the colour of each arm
    cards: list[Card]


def make_opening(results: Results) -> Opening:
    """Return the first page of a report. It has no cards if no arm was run."""
    failed = any(not check.passed for check in results.checks)
    state: State = "failed" if failed else "proven" if results.checks else "open"
    return Opening(
        claim=make_claim(results),
        checks=Claim(state, checks_summary(results)),
        colors={name: s.color for name, s in arm_styles(results.arms).items()},
        cards=make_cards(results),
    )


def make_claim(results: Results) -> Claim | None:
    """Return whether this run proves its arms to be the same program, and why not.

    Return None if the run has neither arms nor a parity ladder.
    """
    if is_plain(results):
        return Claim(
            "open",
            "No claim of sameness: these two programs differ by design. Only a run of "
            "the matched division can prove that two programs are the same.",
        )
    if not results.arms and not results.parity:
        return None
    facts = [*_predictions(results), *_ladder(results)]
    held = [fact.text for fact in facts if fact.state == "proven"]
    rest = [fact for fact in facts if fact.state != "proven"]
    if not rest:
        return Claim("proven", f"Same program, proven: {', '.join(held)}.")
    failed = any(fact.state == "failed" for fact in rest)
    why = " and ".join(fact.text for fact in rest)
    said = [f"Same program: not proven in this run, since {why}."]
    said += [f"{fact[0].upper()}{fact[1:]}." for fact in held]
    return Claim("failed" if failed else "open", " ".join(said))


def _predictions(results: Results) -> list[Claim]:
    """Return the claims that follow from the predictions of the arms."""
    compared = [one for one in (results.comparison, *results.further) if one]
    facts = [
        Claim("open", f"{name} did not run")
        for name, arm in results.arms.items()
        if arm.status != "ok"
    ]
    if not compared and not facts:
        facts.append(Claim("open", "no predictions were compared"))
    for one in compared:
        images = results.arms[one.arms[0]].test.images
        differing = round((1 - one.top1_agreement) * images)
        between = f" between {' and '.join(one.arms)}" if results.further else ""
        said = f"{differing} of {images} predictions differ{between}"
        ties = [image.file for image in one.differing if image.within_rounding]
        proven = differing == len(ties)
        if ties and proven:
            said += f", on images whose best two logits tie ({', '.join(ties)})"
        elif not proven and _agree_in_float64(results.parity, one.arms):
            proven = True
            said += " in float32, where rounding can grow, and in float64 both predict "
            said += "alike"
        facts.append(Claim("proven" if proven else "open", said))
    return facts


def _agree_in_float64(parity: ParityRecord | None, arms: tuple[str, str]) -> bool:
    """Return whether heads that both arms train in float64 predict the same."""
    return bool(parity) and any(
        (rung.name, rung.precision, rung.passed, set(parity.arms))
        == ("validation predictions", "float64", True, set(arms))
        for rung in parity.rungs
    )


def _ladder(results: Results) -> list[Claim]:
    """Return the claim that follows from the parity ladder."""
    parity = results.parity
    if not parity or not parity.judged:
        return [Claim("open", "the parity ladder was not run")]
    if found := parity.first_failed:
        where = f", at {found.first_failed}" if found.first_failed else ""
        said = f"the parity ladder fails first at “{found.name}”{where}"
        return [Claim("failed", said)]
    which = "" if len(parity.judged) == len(parity.rungs) else " that can be judged"
    said = f"all {len(parity.judged)} rungs of the parity ladder{which} hold"
    if not parity.whole:
        return [
            Claim("proven", "the two trainings agree in float64"),
            Claim("open", "only the training was compared, not the whole ladder"),
        ]
    return [Claim("proven", said)]
