"""Outputs as a receiver sees them; the receivers are the examples of docs/outputs.md, as printed.

The engine is another process that sends decodes ten times a second until it is killed.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtbci.clock import MonotonicClock
from rtbci.config import OutputConfig
from rtbci.sinks import lsl
from rtbci.sinks.lsl import LSLSink
from rtbci.types import Channel, Decode, Forecast, Marker, StreamInfo

DOC = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")
LSL_EXAMPLE, OSC_EXAMPLE = map(str, re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL))
CLASSES = ("left_hand", "right_hand")
INFO = StreamInfo("test", "simulator", 250.0, (Channel("C3"), Channel("Cz")))
TRIES = 4000
ENGINE = """
import sys, time
import numpy as np
from rtbci.sinks.lsl import LSLSink
from rtbci.sinks.osc import OSCSink
from rtbci.types import Channel, Decode, StreamInfo

kind, where = sys.argv[1:]
sink = LSLSink(prefix=where) if kind == "lsl" else OSCSink("127.0.0.1", int(where))
info = StreamInfo("test", "simulator", 250.0, (Channel("C3"), Channel("Cz")))
classes = ("left_hand", "right_hand")
sink.open(info, classes)
print("ready", flush=True)
for token in range(10_000):
    decode = Decode(token, token, time.monotonic() - 0.05, classes, np.array([0.1, 0.9]),
                    "right_hand", "", "P07: ts+lr", True)
    sink.send(decode)
    sink.heartbeat()
    time.sleep(0.1)
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    made = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield made
    finally:
        made.kill()
        made.communicate()


def line(of: subprocess.Popen[str]) -> str:
    assert of.stdout is not None
    return of.stdout.readline().strip()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def lsl_example(prefix: str) -> str:
    code = LSL_EXAMPLE.replace("rtbci-decode", f"{prefix}-decode")
    assert code != LSL_EXAMPLE
    return code


def osc_example(port: int) -> str:
    code = OSC_EXAMPLE.replace("9000", str(port))
    assert code != OSC_EXAMPLE
    return code


@pytest.mark.parametrize("kind", ["lsl", "osc"])
def test_a_killed_engine_is_neutral_at_the_receiver_and_may_come_back(kind: str) -> None:
    where = f"rtbci-{uuid.uuid4().hex[:8]}" if kind == "lsl" else str(free_port())
    code = lsl_example(where) if kind == "lsl" else osc_example(int(where))
    with process(code) as receiver:
        with process(ENGINE, kind, where) as engine:
            assert line(engine) == "ready"
            assert line(receiver) == "right_hand"
            engine.kill()
            assert line(receiver) == "neutral"
        with process(ENGINE, kind, where) as engine:
            assert line(engine) == "ready"
            assert line(receiver) == "right_hand"


def test_a_killed_engine_s_last_decode_ends_within_one_time_to_live() -> None:
    from pythonosc.osc_message import OscMessage

    rule, clock = OscRule(), MonotonicClock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        inbox.settimeout(30.0)
        with process(ENGINE, "osc", str(inbox.getsockname()[1])) as engine:
            taken = 0
            while True:
                try:
                    said = OscMessage(inbox.recv(65_536))
                except TimeoutError:
                    break
                if said.address != "/rtbci/decode":
                    continue
                rule.time.now = arrived = clock.now()
                rule.names["decode"](said.address, *said.params)
                assert rule.names["until"] <= arrived + OutputConfig().ttl_s
                taken += 1
                if taken == 5:
                    engine.kill()
                    engine.wait()
                    inbox.settimeout(0.2)
    assert taken >= 5
    rule.time.now = arrived + OutputConfig().ttl_s
    assert rule.acting is None


class ManualTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class OscRule:
    """The rule of the OSC example, taken from the document, on a clock that we move."""

    def __init__(self) -> None:
        self.time = ManualTime()
        rule = OSC_EXAMPLE[OSC_EXAMPLE.index("engine, newest") : OSC_EXAMPLE.index("dispatcher =")]
        self.names: dict[str, Any] = {"time": self.time}
        exec(rule, self.names)

    def take(self, sequence: int, sent: float, session: int = 7, **said: Any) -> None:
        said = {"age": 0.1, "ttl": 0.5, "valid": 1, "decision": "right_hand"} | said
        self.names["decode"]("/rtbci/decode", session, sequence, sent, **said)

    @property
    def acting(self) -> str | None:
        wanted = self.names["wanted"]
        return wanted if wanted and self.time.now < self.names["until"] else None


def test_osc_rule_ends_a_decode_at_its_time_to_live() -> None:
    rule = OscRule()
    rule.take(0, sent=5.0)
    assert rule.acting == "right_hand"
    rule.time.now += 0.39
    assert rule.acting == "right_hand"
    rule.time.now += 0.02
    assert rule.acting is None


@pytest.mark.parametrize("said", [{"valid": 0}, {"decision": ""}, {"age": 0.6}])
def test_osc_rule_is_neutral_at_once(said: dict[str, Any]) -> None:
    rule = OscRule()
    rule.take(0, sent=5.0)
    rule.time.now += 0.1
    rule.take(1, sent=5.1, **said)
    assert rule.acting is None


def test_osc_rule_does_not_act_on_what_lay_in_a_buffer() -> None:
    rule = OscRule()
    rule.take(0, sent=5.0)
    rule.time.now += 3.0  # the receiver was busy; the engine died at 5.2
    rule.take(1, sent=5.1)
    rule.take(2, sent=5.2)
    assert rule.acting is None


def test_osc_rule_ignores_old_and_doubled_messages() -> None:
    rule = OscRule()
    rule.take(1, sent=5.0, valid=0)
    rule.take(0, sent=5.0)
    rule.take(1, sent=5.0)
    assert rule.acting is None


def test_osc_rule_follows_an_engine_that_was_restarted() -> None:
    rule = OscRule()
    rule.take(900, sent=500.0)
    rule.time.now += 5.0
    rule.take(0, sent=2.0, session=8)  # another machine's clock, counted anew
    assert rule.acting == "right_hand"


def test_osc_rule_bears_clocks_that_drift() -> None:
    rule = OscRule()
    for k in range(36_000):  # an hour at ten a second; the receiver's clock is 50 ppm fast
        rule.take(k, sent=5.0 + 0.1 * k)
        assert rule.acting == "right_hand"
        rule.time.now += 0.1 * (1 + 5e-5)


class LslRule:
    """The LSL example, run against an inlet of our own."""

    def __init__(self, samples: list[tuple[float, list[float]]]) -> None:
        """``samples`` come when the clock reaches their first entry; the clock ends the run."""
        self.now, self.samples, self.said = 100.0, samples, list[tuple[float, str]]()
        labels = ["session", "sequence", "age", "ttl", "valid", "decision", "p_left", "p_right"]
        inlet = SimpleNamespace(
            info=lambda: SimpleNamespace(get_channel_labels=lambda: labels),
            time_correction=lambda timeout=9.0: 95.0,  # the sender's clock is 95 s behind
            pull_sample=self.pull,
        )
        pylsl = SimpleNamespace(
            resolve_byprop=lambda *_, **__: [None],
            StreamInlet=lambda *_, **__: inlet,
            local_clock=lambda: self.now,
            util=SimpleNamespace(TimeoutError=RuntimeError),
        )
        code = LSL_EXAMPLE.replace("import pylsl\n", "")
        names = {"pylsl": pylsl, "print": lambda word, flush: self.said.append((self.now, word))}
        with pytest.raises(StopIteration):
            exec(code, names)

    def pull(self, timeout: float) -> tuple[list[float] | None, float | None]:
        if self.now > 104.0:
            raise StopIteration
        if self.samples and self.samples[0][0] <= self.now:
            return self.samples[0][1], self.samples.pop(0)[0] - 95.0
        self.now += timeout
        return None, None


def test_lsl_rule_ends_a_decode_at_its_time_to_live() -> None:
    rule = LslRule([(100.0, [7, 0, 0.1, 0.5, 1, 1, 0.1, 0.9])])
    assert [word for _, word in rule.said] == ["right", "neutral"]
    assert 100.4 <= rule.said[1][0] <= 100.4 + 0.021


def test_lsl_rule_is_neutral_at_once_where_not_valid_or_undecided() -> None:
    valid, not_valid, undecided = (
        [7, 0, 0.1, 0.5, 1, 0, 0.9, 0.1],
        [7, 1, 0.1, 0.5, 0, -1, 0.0, 0.0],
        [7, 2, 0.1, 0.5, 1, -1, 0.5, 0.5],
    )
    rule = LslRule([(100.0, valid), (100.1, not_valid), (101.0, valid), (101.2, undecided)])
    assert [word for _, word in rule.said] == ["left", "neutral", "left", "neutral"]
    assert rule.said[1][0] == pytest.approx(100.1, abs=0.021)
    assert rule.said[3][0] == pytest.approx(101.2, abs=0.021)


class Inbox:
    """Inlets for all streams of a sink in this process."""

    def __init__(self, prefix: str) -> None:
        import pylsl

        self.inlets = {}
        for kind in ("decode", "forecast", "markers", "heartbeat"):
            (found,) = pylsl.resolve_byprop("name", f"{prefix}-{kind}", 1, 10.0)
            self.inlets[kind] = pylsl.StreamInlet(found)
            self.inlets[kind].open_stream(10.0)
        self.labels = {k: i.info(10.0).get_channel_labels() for k, i in self.inlets.items()}

    def take(self, kind: str) -> tuple[dict[str, Any], float]:
        sample, stamp = self.inlets[kind].pull_sample(timeout=20.0)
        assert sample is not None
        return dict(zip(self.labels[kind], sample, strict=True)), stamp


def wait_for_heartbeats(sink: LSLSink, inbox: Inbox, clock: MonotonicClock) -> None:
    """Beat until the receiver has one: connections take a moment."""
    for _ in range(TRIES):
        sink.heartbeat()
        if inbox.inlets["heartbeat"].samples_available():
            return
        clock.sleep(0.01)
    raise AssertionError("no heartbeat came")


def retry(send: Callable[[], None], inbox: Inbox, kind: str, clock: MonotonicClock) -> None:
    for _ in range(TRIES):
        send()
        if inbox.inlets[kind].samples_available():
            return
        clock.sleep(0.01)
    raise AssertionError(f"no {kind} came")


def test_lsl_streams_say_what_the_document_says() -> None:
    clock, prefix = MonotonicClock(), f"rtbci-{uuid.uuid4().hex[:8]}"
    sink = LSLSink(OutputConfig(), prefix=prefix, clock=clock)
    sink.open(INFO, CLASSES)
    inbox = Inbox(prefix)
    try:
        wait_for_heartbeats(sink, inbox, clock)
        beat, _ = inbox.take("heartbeat")
        assert (beat["ttl"], beat["state"]) == (0.5, 2)

        p = np.array([0.25, 0.75])

        def send_decode() -> None:
            time = clock.now()
            sink.send(Decode(3, 9, time, CLASSES, p, "right_hand", "", "P07: ts+lr", True))

        retry(send_decode, inbox, "decode", clock)
        decode, _ = inbox.take("decode")
        assert decode["session"] == beat["session"]
        assert (decode["valid"], decode["decision"], decode["ttl"]) == (1, 1, 0.5)
        assert (decode["p_left_hand"], decode["p_right_hand"]) == (0.25, 0.75)
        assert decode["age"] >= 0

        mean = np.arange(250, dtype=np.float32)[:, None] * np.array([1, -1], dtype=np.float32)

        def send_forecast() -> None:
            sink.send(Forecast(3, 9, clock.now(), 250.0, mean, "direct"))

        retry(send_forecast, inbox, "forecast", clock)
        forecast, _ = inbox.take("forecast")
        horizons = {20: 4, 50: 11, 100: 24, 200: 49, 500: 124, 1000: 249}
        for ms, row in horizons.items():
            assert forecast[f"C3+{ms}ms"] == pytest.approx(mean[row, 0], abs=1)
            assert forecast[f"Cz+{ms}ms"] == -forecast[f"C3+{ms}ms"]

        at = clock.now() - 1.0
        retry(lambda: sink.send(Marker(at, "T1")), inbox, "markers", clock)
        marker, stamp = inbox.take("markers")
        assert marker == {"marker": "T1"}
        assert stamp == pytest.approx(at, abs=0.5)  # its own time, not when it was sent
        sink.stop()
        retry(sink.heartbeat, inbox, "decode", clock)
    finally:
        sink.close()
        sink.close()


def test_a_stream_that_is_received_is_not_destroyed_under_its_receiver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Liblsl would crash the process in about one of a hundred times."""
    kept: list[object] = []
    really = lsl.keep_for_ever

    def keep(outlet: object) -> None:
        kept.append(outlet)
        really(outlet)

    monkeypatch.setattr(lsl, "keep_for_ever", keep)
    for heard in (False, True):
        prefix = f"rtbci-{uuid.uuid4().hex[:8]}"
        sink = LSLSink(OutputConfig(), prefix=prefix, clock=MonotonicClock())
        sink.open(INFO, CLASSES)
        inbox = Inbox(prefix) if heard else None
        if inbox is not None:
            wait_for_heartbeats(sink, inbox, MonotonicClock())
        sink.close()
        assert len(kept) == (4 if heard else 0)


def test_every_field_is_documented() -> None:
    for label in ("session", "sequence", "sent", "age", "ttl", "valid", "decision", "p", "state"):
        assert f"| `{label}` |" in DOC
    for stream in ("decode", "forecast", "markers", "heartbeat"):
        assert f"| `rtbci-{stream}` |" in DOC
    for address in ("decode", "forecast", "marker", "heartbeat"):
        assert f"| `/rtbci/{address}` |" in DOC
