"""How many rollouts may be in flight, against a simulated endpoint and a clock only the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.runs import limiter
from nemo_gym.runs.limiter import Adaptive, Fixed


class World:
    """A clock, and an endpoint that serves `capacity` rollouts of a second each at a time."""

    def __init__(self, capacity: int = 100) -> None:
        self.now = 0.0
        self.capacity = capacity
        self.pushbacks = 0

    def clock(self) -> float:
        return self.now

    def round(self, adaptive: Adaptive) -> int:
        """As many rollouts as may be in flight, all started now; the limit after them."""
        count = adaptive.limit
        seconds = max(1.0, count / self.capacity)
        self.now += seconds
        for _ in range(count):
            adaptive.finished(seconds)
        return adaptive.limit

    def push_back(self, adaptive: Adaptive, *, times: int, seconds: float = 1.0) -> int:
        """So many rollouts that began together end together, each with a 429; the limit after them."""
        self.now += seconds
        for _ in range(times):
            self.pushbacks += 1
            adaptive.finished(seconds)
        return adaptive.limit


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(limiter, "monotonic", world.clock)
    return world


def adaptive_in(world: World, start: int = 16, most: int = 4096) -> Adaptive:
    return Adaptive(lambda: world.pushbacks, start=start, most=most)


def test_a_fixed_limit_never_changes() -> None:
    fixed = Fixed(3)
    fixed.finished(1.0)

    assert fixed.limit == 3


def test_the_limit_doubles_while_throughput_grows(world: World) -> None:
    adaptive = adaptive_in(world)

    assert [world.round(adaptive) for _ in range(3)] == [32, 64, 128]


def test_it_stops_growing_when_throughput_is_flat(world: World) -> None:
    adaptive = adaptive_in(world)

    limits = [world.round(adaptive) for _ in range(20)]

    assert limits[3:] == [256] * 17


def test_after_three_flat_rounds_it_grows_by_an_eighth(world: World) -> None:
    adaptive = adaptive_in(world)
    for _ in range(8):
        world.round(adaptive)
    world.capacity = 1000

    assert world.round(adaptive) == 256 + 32


def test_a_round_is_as_many_rollouts_as_the_limit_and_a_tenth_of_a_second(world: World) -> None:
    adaptive = adaptive_in(world)
    world.now = 0.05
    for _ in range(100):
        adaptive.finished(0.01)
    assert adaptive.limit == 16

    world.now = 0.11
    adaptive.finished(0.01)
    assert adaptive.limit == 32


def test_a_storm_halves_the_limit_and_ends_the_doubling(world: World) -> None:
    adaptive = adaptive_in(world, start=100)

    assert world.push_back(adaptive, times=100) == 50
    assert world.round(adaptive) == 50 + 50 // 8


def test_a_stray_pushback_costs_next_to_nothing(world: World) -> None:
    adaptive = adaptive_in(world, start=100)
    world.pushbacks += 1

    assert world.round(adaptive) == 100


def test_an_endpoint_that_always_refuses_a_tenth_is_still_kept_busy(world: World) -> None:
    adaptive = adaptive_in(world, start=16)
    for _ in range(200):
        world.pushbacks += max(1, adaptive.limit // 10)
        world.round(adaptive)

    assert adaptive.limit >= 8


def test_nothing_is_cut_before_a_round_is_over(world: World) -> None:
    adaptive = adaptive_in(world, start=100)

    assert world.push_back(adaptive, times=99) == 100
    assert world.push_back(adaptive, times=1) == 50


def test_an_endpoint_that_only_pushes_back_is_still_asked_one_at_a_time(world: World) -> None:
    adaptive = adaptive_in(world, start=16)

    limits = [world.push_back(adaptive, times=adaptive.limit) for _ in range(30)]

    assert limits[-1] == 1
    assert world.round(adaptive) == 2


def test_the_limit_never_passes_the_most(world: World) -> None:
    world.capacity = 1_000_000
    adaptive = adaptive_in(world, start=16, most=100)

    assert max(world.round(adaptive) for _ in range(10)) == 100


def test_pushbacks_from_before_the_run_do_not_count(world: World) -> None:
    world.pushbacks = 7

    assert world.round(adaptive_in(world)) == 32


endings = st.tuples(st.floats(0, 10), st.floats(0, 10), st.integers(0, 2))


@given(st.lists(endings, max_size=200), st.integers(1, 64), st.integers(0, 64))
def test_whatever_happens_the_limit_stays_within_its_bounds(
    history: list[tuple[float, float, int]], start: int, above: int
) -> None:
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiter, "monotonic", world.clock)
        adaptive = adaptive_in(world, start=start, most=start + above)
        for passed, seconds, pushbacks in history:
            world.now += passed
            world.pushbacks += pushbacks
            adaptive.finished(seconds)
            assert 1 <= adaptive.limit <= start + above
