"""The timing machinery on a clock that the tests hold in their hands."""

import threading
from functools import partial

import numpy as np
import pytest

from bench.judging.intervals import NO_DIFFERENCE, compare_times
from bench.processes import rounds
from bench.processes.rounds import Measured, Phases, TakeTurn, measure_in_rounds
from bench.processes.worker_process import ArmFailed
from bench.records import TimingRecord
from bench.worker.timer import Timer, is_steady

ARMS = ("pytorch", "keras")
ROUNDS = 5
NO_LIMIT_S = 1e9


class FakeClock:
    """Seconds that pass only when somebody lets them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def spend(self, milliseconds: float) -> None:
        self.seconds += milliseconds / 1000


def take_rounds(slowdown: float, seed: int) -> Measured:
    """Two arms with the noise of a real machine, Keras slower by a known factor."""
    clock, random = FakeClock(), np.random.default_rng(seed)

    def measure(arm: str, number: int, take_turn: TakeTurn) -> Phases:
        timer = Timer(lambda: None, 6, 20, NO_LIMIT_S, take_turn, clock)
        drift = 1 + 0.05 * number  # the whole machine becomes slower
        process = random.normal(1, 0.005)
        base = 100 * drift * process * (slowdown if arm == "keras" else 1)
        calls = iter(range(1000))

        def step() -> None:
            cold = 3 if next(calls) < 2 else 1
            clock.spend(base * cold * random.normal(1, 0.02))

        return {"first_step": [timer.once(step)], "train_step": timer.steady(step)}

    measured = Measured()
    order = np.random.default_rng(seed)
    measure_in_rounds(measured, ARMS, ROUNDS, order, measure, None)
    return measured


def compare(slowdown: float, seed: int):
    samples = take_rounds(slowdown, seed).samples
    pair = tuple(samples[arm]["train_step"] for arm in ARMS)
    return compare_times({"train_step": pair}, ARMS)["train_step"]


def test_slowdown_of_five_percent_is_found_and_one_of_zero_is_not():
    seeds = range(40)
    slower = [compare(1.05, seed) for seed in seeds]
    assert all(one.verdict == "pytorch takes less time" for one in slower)
    assert np.mean([one.ratio for one in slower]) == pytest.approx(1 / 1.05, rel=0.01)
    equal = [compare(1.0, seed) for seed in seeds]
    assert sum(one.verdict != NO_DIFFERENCE for one in equal) <= 4


def test_order_is_shuffled_and_recorded():
    measured = take_rounds(1.0, seed=0)
    assert len(measured.order) == ROUNDS
    assert all(sorted(order) == sorted(ARMS) for order in measured.order)
    assert len({tuple(order) for order in measured.order}) == 2
    assert take_rounds(1.0, seed=0).order == measured.order


def take_rounds_on_a_shared_machine(seed: int, in_turns: bool) -> Measured:
    """Two equal arms; now and then all is a quarter slower for some seconds."""
    clock, random = FakeClock(), np.random.default_rng(seed)
    changes = np.cumsum(random.exponential(5, size=200))

    def step() -> None:
        is_slow = np.searchsorted(changes, clock()) % 2
        clock.spend(100 * (1.27 if is_slow else 1) * random.normal(1, 0.01))

    def measure(_arm: str, _number: int, take_turn: TakeTurn) -> Phases:
        clock.spend(3000)  # to start
        turn = take_turn if in_turns else None
        timer = Timer(lambda: None, 6, 20, NO_LIMIT_S, turn, clock)
        return {"train_step": timer.steady(step)}

    measured, order = Measured(), np.random.default_rng(seed)
    measure_in_rounds(measured, ARMS, ROUNDS, order, measure, None)
    return measured


@pytest.mark.parametrize(
    ("in_turns", "least", "most"), [(True, 0, 0.01), (False, 0.03, 1)]
)
def test_turns_take_the_machine_out_of_the_ratio(in_turns, least, most):
    """One arm after the other, equal programs differ by several percent."""
    ratios = []
    for seed in range(20):
        samples = take_rounds_on_a_shared_machine(seed, in_turns).samples
        pair = tuple(samples[arm]["train_step"] for arm in ARMS)
        ratios.append(compare_times({"train_step": pair}, ARMS)["train_step"].ratio)
    assert least < np.std(np.log(ratios)) < most


def test_arms_work_one_at_a_time_and_in_turns():
    seen = []

    def measure(arm: str, number: int, take_turn: TakeTurn) -> Phases:
        for turn in range(3):
            seen.append((number, turn, arm))
            if (arm, number, turn) == ("keras", 2, 1):
                raise ArmFailed("killed")
            take_turn()
        return {}

    measured = Measured()
    measure_in_rounds(
        *(measured, ARMS, 2, np.random.default_rng(0), measure), lambda *_what: None
    )
    first, second = measured.order
    expected = [(1, turn, arm) for turn in range(3) for arm in first]
    expected += [(2, turn, arm) for turn in range(2) for arm in second]
    assert seen == [*expected, (2, 2, "pytorch")]


def test_a_crashed_round_does_not_lose_the_others():
    missed = []

    def measure(arm: str, number: int, _take_turn: TakeTurn) -> Phases:
        if (arm, number) == ("keras", 2):
            raise ArmFailed("killed")
        return {"forward": [float(number)]}

    measured = Measured()
    measure_in_rounds(
        *(measured, ARMS, ROUNDS, np.random.default_rng(0), measure),
        lambda *what: missed.append(what[:2]),
    )
    assert missed == [("keras", 2)]
    assert sorted(measured.samples["keras"]["forward"]) == [1, 3, 4, 5]
    assert sorted(measured.samples["pytorch"]["forward"]) == [1, 2, 3, 4, 5]


def test_an_interrupted_measurement_keeps_what_it_has():
    measured = Measured()

    def measure(arm: str, number: int, _take_turn: TakeTurn) -> Phases:  # noqa: ARG001
        if number == 3:
            raise KeyboardInterrupt
        return {"forward": [1.0]}

    with pytest.raises(KeyboardInterrupt):
        measure_in_rounds(
            measured, ARMS, ROUNDS, np.random.default_rng(0), measure, None
        )
    assert all(len(measured.samples[arm]["forward"]) == 2 for arm in ARMS)


def test_after_an_interruption_no_other_arm_starts(monkeypatch):
    interrupted = threading.Event()
    monkeypatch.setattr(rounds, "stopping", interrupted)
    started, measured = [], Measured()

    def measure(arm: str, _number: int, _take_turn: TakeTurn) -> Phases:
        started.append(arm)
        if len(started) == 2:
            interrupted.set()
        return {"forward": [1.0]}

    names, random = ("a", "b", "c", "d"), np.random.default_rng(0)
    measure_in_rounds(measured, names, 1, random, measure, None)
    assert started == measured.order[0][:2]
    assert measured.samples[started[0]] == {"forward": {1: [1.0]}}


def test_warm_up_ends_when_times_stand_still():
    clock, spent = FakeClock(), []

    def step() -> None:
        spent.append(max(100.0, 500 - 50 * len(spent)))
        clock.spend(spent[-1])

    samples = Timer(lambda: None, 4, 50, NO_LIMIT_S, clock=clock).steady(step)
    assert samples == pytest.approx([100.0] * 4)
    assert len(spent) < 29
    never = Timer(lambda: None, 4, 7, NO_LIMIT_S, lambda: None, clock)
    before = len(spent)
    never.steady(lambda: (spent.append(0), clock.spend(2.0 ** len(spent))))
    assert len(spent) - before == 7 + 4 * 2  # one more at the start of each turn


def test_a_busy_machine_costs_samples_and_no_more_time_than_allowed():
    """Neither the first call nor the other arm's turns count; one sample is kept."""
    clock = FakeClock()

    def timer(budget_s: float) -> Timer:
        turn = partial(clock.spend, 60_000)
        return Timer(lambda: None, 6, 20, budget_s, turn, clock)

    busy = partial(clock.spend, 300)
    assert timer(100).steady(busy) == pytest.approx([300.0] * 6)
    assert timer(3).steady(busy) == pytest.approx([300.0] * 3)  # after six to warm up
    assert timer(0.1).steady(busy) == pytest.approx([300.0])


def test_steady_is_judged_by_two_windows():
    assert not is_steady([100] * 5)
    assert is_steady([100] * 6)
    assert is_steady([900, 100, 100, 100, 104, 104, 104])
    assert not is_steady([100, 100, 100, 106, 106, 106])


def test_device_is_waited_for_before_the_clock_is_read():
    """The call returns at once; its work is done by the time synchronise returns."""
    clock, asked = FakeClock(), []

    def synchronise() -> None:
        while asked:
            clock.spend(asked.pop())

    timer = Timer(synchronise, 3, 0, NO_LIMIT_S, clock=clock)
    asked.append(1000.0)  # of somebody else, before the call
    assert timer.once(lambda: asked.append(80.0)) == pytest.approx(80)
    assert timer.steady(lambda: asked.append(80.0)) == pytest.approx([80.0] * 3)


def test_timing_itself_takes_no_time_worth_speaking_of():
    assert Timer(lambda: None, 1, 0, NO_LIMIT_S).overhead() < 0.1


@pytest.mark.parametrize(
    ("iqr", "stability"), [(10, "steady"), (11, "noisy"), (26, "unstable")]
)
def test_spread_is_named(iqr, stability):
    record = TimingRecord(median_ms=100, iqr_ms=iqr, samples_ms=[100])
    assert record.stability == stability
