from __future__ import annotations

import numpy as np

from rtbci.clock import ManualClock
from rtbci.sources.stamps import WallClock


class Wall:
    """A wall clock that runs with the session's clock until somebody sets it."""

    def __init__(self, clock: ManualClock, offset: float) -> None:
        self.clock = clock
        self.offset = offset

    def __call__(self) -> float:
        return self.clock.now() + self.offset


def make(now: float = 100.0, unix: float = 1.7e9) -> tuple[ManualClock, Wall, WallClock]:
    clock = ManualClock(now)
    wall = Wall(clock, unix)
    stamps = WallClock(clock, wall)
    stamps.reset()
    return clock, wall, stamps


def test_stamps_move_onto_the_sessions_clock() -> None:
    clock, wall, stamps = make()
    clock.advance(1.0)
    times = stamps.convert(np.array([wall() - 0.01, wall() - 0.004]), clock.now())
    np.testing.assert_allclose(times, [100.99, 100.996], atol=1e-6)


def test_no_rows_no_times() -> None:
    clock, _, stamps = make()
    assert stamps.convert(np.empty(0), clock.now()).shape == (0,)


def test_times_never_run_backwards_or_ahead() -> None:
    clock, wall, stamps = make()
    clock.advance(1.0)
    times = stamps.convert(np.array([wall() + 5.0, wall() - 3.0]), clock.now())
    np.testing.assert_array_equal(times, [clock.now()] * 2)
    clock.advance(0.01)
    times = stamps.convert(np.array([wall() - 1.0]), clock.now())
    assert 101.0 <= times[0] <= clock.now()


def test_setting_the_wall_clock_does_not_move_times() -> None:
    """A time server that set the clock by an hour put samples an hour away."""
    clock, wall, stamps = make()
    for step in (3600.0, -7200.0, 0.02):
        wall.offset += step
        clock.advance(0.1)
        times = stamps.convert(np.array([wall() - 0.004]), clock.now())
        np.testing.assert_allclose(times, [clock.now() - 0.004], atol=1e-6)
