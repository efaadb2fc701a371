"""The watchdog: late, stalled, lost, by a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtbci.clock import ManualClock
from rtbci.config import TimelineConfig
from rtbci.errors import BadInputError
from rtbci.watchdog import SourceState, Watchdog

CONFIG = TimelineConfig(late_s=0.25, stalled_s=1.0, lost_s=2.0)


def test_silence_grows_from_ok_to_lost_and_rows_end_it() -> None:
    clock, dog = ManualClock(1000.0), Watchdog(CONFIG)
    assert dog.update(clock.now(), 5) is SourceState.OK
    seen = []
    for _ in range(8):
        clock.advance(0.25)
        seen.append(dog.update(clock.now(), 0))
    assert seen == [SourceState.LATE] * 3 + [SourceState.STALLED] * 4 + [SourceState.LOST]
    assert dog.silence_s == 2.0
    assert dog.update(clock.now(), 1) is SourceState.OK
    assert dog.silence_s == 0.0


def test_a_source_that_never_spoke_is_lost_too() -> None:
    dog = Watchdog(CONFIG)
    assert dog.update(50.0, 0) is SourceState.OK
    assert dog.update(52.0, 0) is SourceState.LOST


def test_reset_gives_a_reconnected_source_its_time() -> None:
    dog = Watchdog(CONFIG)
    dog.update(0.0, 1)
    assert dog.update(5.0, 0) is SourceState.LOST
    dog.reset()
    assert dog.update(5.1, 0) is SourceState.OK
    assert dog.update(5.4, 0) is SourceState.LATE


@pytest.mark.parametrize("change", [{"late_s": 0.0}, {"late_s": 3.0}, {"lost_s": 0.5}])
def test_thresholds_out_of_order_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="late_s <= stalled_s <= lost_s, got"):
        Watchdog(replace(CONFIG, **change))
