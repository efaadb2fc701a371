"""Outputs switched together and one by one."""

from __future__ import annotations

import pytest

from rtbci.errors import BadInputError
from rtbci.sinks.base import SinkFacts
from rtbci.sinks.switch import OutputSwitch
from rtbci.types import Decode, Forecast, Marker, StreamInfo


class Latched:
    """A sink that only knows whether it is stopped."""

    def __init__(self, kind: str) -> None:
        self.kind, self.speaks = kind, True

    def open(self, info: StreamInfo, classes: tuple[str, ...]) -> None: ...

    def send(self, item: Decode | Forecast | Marker) -> None: ...

    def heartbeat(self) -> None: ...

    def close(self) -> None: ...

    def stop(self) -> None:
        self.speaks = False

    def resume(self) -> None:
        self.speaks = True

    def describe(self) -> SinkFacts:
        return SinkFacts(self.kind, "somewhere")


def test_one_output_is_switched_by_itself_and_stays_so_when_all_resume() -> None:
    lsl, osc = Latched("lsl"), Latched("osc")
    switch = OutputSwitch([lsl, osc])
    switch.switch(True, "lsl")
    assert (lsl.speaks, osc.speaks, switch.stopped) == (False, True, False)
    assert [facts["off"] for facts in switch.describe()] == [True, False]
    switch.switch(True)
    assert (lsl.speaks, osc.speaks, switch.stopped) == (False, False, True)
    switch.switch(False, "lsl")  # all are stopped: it speaks when they are resumed
    assert not lsl.speaks
    switch.switch(True, "lsl")
    switch.switch(False)
    assert (lsl.speaks, osc.speaks) == (False, True)
    switch.switch(False, "lsl")
    assert lsl.speaks


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInputError, match="no output 'midi'; it has lsl, osc"):
        OutputSwitch([Latched("osc"), Latched("lsl")]).switch(True, "midi")
    with pytest.raises(BadInputError, match="no output 'lsl'; it has none"):
        OutputSwitch([]).switch(True, "lsl")
