"""What outputs send, and what they never send as valid."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rtbci.clock import ManualClock
from rtbci.config import OutputConfig
from rtbci.errors import BadInputError
from rtbci.sinks.lsl import LSLSink
from rtbci.sinks.message import Composer
from rtbci.sinks.osc import OSCSink
from rtbci.types import Channel, ChannelType, Decode, Forecast, Marker, StreamInfo

CLASSES = ("left_hand", "right_hand")
INFO = StreamInfo(
    "test", "simulator", 250.0, (Channel("C3"), Channel("AccX", ChannelType.ACCEL), Channel("Cz"))
)


def decode(time: float = 99.9, **said: Any) -> Decode:
    fields: dict[str, Any] = {
        "token": 3,
        "sample": 9,
        "classes": CLASSES,
        "p": np.array([0.2, 0.8]),
        "decision": "right_hand",
        "reason": "",
        "decoder": "P07: ts+lr",
        "calibrated": True,
    }
    return Decode(time=time, **(fields | said))


@pytest.fixture
def composer() -> Composer:
    return Composer(OutputConfig(), ManualClock(100.0), CLASSES, threading.Event())


def test_a_decode_carries_its_age_and_time_to_live(composer: Composer) -> None:
    made = composer.decode(decode())
    assert (made.sequence, made.sent, made.ttl) == (0, 100.0, 0.5)
    assert made.age == pytest.approx(0.1)
    assert (made.valid, made.p, made.decision) == (True, (0.2, 0.8), 1)
    assert composer.decode(decode()).sequence == 1
    assert 0 <= made.session < 2**31


def test_no_decision_is_valid_and_neutral(composer: Composer) -> None:
    made = composer.decode(decode(decision=None))
    assert (made.valid, made.decision) == (True, -1)


@pytest.mark.parametrize(
    "said",
    [
        {"calibrated": False},
        {"reason": "window not full", "p": np.full(2, np.nan), "decision": None},
        {"p": np.array([np.nan, 0.5])},
        {"time": 99.5},
        {"time": 42.0},
    ],
    ids=["uncalibrated", "abstains", "nan", "as old as its time to live", "backlog"],
)
def test_what_must_not_be_acted_on_is_neutral(composer: Composer, said: dict[str, Any]) -> None:
    made = composer.decode(decode(**said))
    assert (made.valid, made.p, made.decision) == (False, (0.0, 0.0), -1)


def test_stop_holds_until_resume(composer: Composer) -> None:
    composer.latch.set()
    assert not composer.decode(decode()).valid
    assert composer.heartbeat().state == "stopped"
    assert composer.forecast(forecast()) is None
    composer.latch.clear()
    assert composer.decode(decode()).valid
    assert composer.heartbeat().state == "running"


def test_a_decode_of_other_classes_is_a_mistake(composer: Composer) -> None:
    with pytest.raises(ValueError, match=r"expected a decode of \('left_hand', 'right_hand'\)"):
        composer.decode(decode(classes=("a", "b")))


@pytest.mark.parametrize("sink", [lambda c: LSLSink(c), lambda c: OSCSink("127.0.0.1", 9, c)])
def test_a_time_to_live_shorter_than_a_heartbeat_is_refused(sink: Any) -> None:
    with pytest.raises(BadInputError, match=r"heartbeat_s < ttl_s, got 0.1 and 0.05 s"):
        sink(OutputConfig(ttl_s=0.05))


def forecast() -> Forecast:
    mean = np.arange(250, dtype=np.float32)[:, None] * np.array([1, np.nan], dtype=np.float32)
    return Forecast(3, 9, 99.9, 250.0, mean, "direct")


class Listener:
    """A UDP socket and a sink that sends to it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10.0)
        self.clock = ManualClock(100.0)
        self.sink = OSCSink("localhost", self.socket.getsockname()[1], clock=self.clock)

    def take(self) -> tuple[str, list[Any]]:
        from pythonosc.osc_message import OscMessage

        message = OscMessage(self.socket.recv(65_536))
        return message.address, message.params


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    with made.socket:
        yield made
        made.sink.close()


def test_osc_messages_are_as_documented(listener: Listener) -> None:
    sink = listener.sink
    sink.open(INFO, CLASSES)
    address, (session, sequence, sent, ttl, state) = listener.take()
    assert (address, sequence, sent, ttl, state) == ("/rtbci/heartbeat", 0, 100.0, 0.5, "running")
    sink.send(decode())
    address, said = listener.take()
    assert address == "/rtbci/decode"
    assert said[:3] == [session, 0, 100.0]
    assert said[3:5] == pytest.approx([0.1, 0.5])
    assert said[5:] == [1, "right_hand", "left_hand", pytest.approx(0.2), "right_hand",
                        pytest.approx(0.8)]  # fmt: skip
    sink.send(Marker(99.0, "T1", duration=2.0))
    assert listener.take() == ("/rtbci/marker", ["T1", 1.0, 2.0, "annotation"])
    sink.send(forecast())
    address, said = listener.take()
    assert address == "/rtbci/forecast"
    assert said[4:11] == [6, 20, 50, 100, 200, 500, 1000]
    assert said[11:18] == ["C3", 4, 11, 24, 49, 124, 249]
    assert said[18] == "Cz"
    assert np.isnan(said[19:]).all()
    assert len(said) == 25


def test_osc_stop_and_close_say_neutral(listener: Listener) -> None:
    sink = listener.sink
    sink.stop()  # also before it is open
    sink.open(INFO, CLASSES)
    assert listener.take()[1][-1] == "stopped"
    assert listener.take()[1][5:7] == [0, ""]
    sink.send(forecast())  # nothing
    sink.send(decode())
    assert listener.take()[1][5:7] == [0, ""]
    sink.resume()
    sink.send(decode())
    assert listener.take()[1][5:7] == [1, "right_hand"]
    sink.close()
    assert listener.take()[1][5:7] == [0, ""]
    assert listener.take()[1][-1] == "ended"
    sink.close()


def test_osc_drops_and_counts_what_the_system_does_not_take(listener: Listener) -> None:
    listener.sink.open(INFO, CLASSES)
    listener.take()
    huge = StreamInfo("t", "simulator", 250.0, tuple(Channel(f"E{i}") for i in range(4000)))
    listener.sink.close()
    listener.take()
    listener.take()
    listener.sink.open(huge, CLASSES)
    listener.take()
    mean = np.zeros((250, 4000), dtype=np.float32)
    listener.sink.send(Forecast(0, 0, 99.9, 250.0, mean, "direct"))  # more than a datagram holds
    assert listener.sink.dropped == 1
    listener.sink.send(decode())
    assert listener.take()[0] == "/rtbci/decode"


def test_osc_host_and_port_are_checked() -> None:
    with pytest.raises(BadInputError, match=r"OSC host 'no-such-host.invalid' is not known"):
        OSCSink("no-such-host.invalid", 9000).open(INFO, CLASSES)
    with pytest.raises(BadInputError, match="OSC port 70000 does not exist; take one of 1 to"):
        OSCSink("127.0.0.1", 70000).open(INFO, CLASSES)
    with pytest.raises(ValueError, match="open the sink before sending"):
        OSCSink("127.0.0.1", 9000).heartbeat()


def test_lsl_sink_has_to_be_open() -> None:
    sink = LSLSink()
    with pytest.raises(ValueError, match="open the sink before sending"):
        sink.heartbeat()
    sink.close()
