"""Parts of the LSL source that need no network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pylsl.util import LostError, TimeoutError  # noqa: A004 - pylsl's own, no OSError

from rtbci.clock import ManualClock
from rtbci.errors import BadInputError, SourceError
from rtbci.sources import lsl_network
from rtbci.sources.lsl_inlet import HOLD_S, Inlet, Pulled
from rtbci.sources.lsl_markers import MarkerReader
from rtbci.sources.lsl_network import StreamEntry, choose, find, lsl_problems, predicate

FLOAT32, STRING = 1, 3


def stream(
    uid: str, name: str = "amp", kind: str = "EEG", source_id: str = "", **said: Any
) -> SimpleNamespace:
    said = {"rate": 250.0, "format": FLOAT32} | said
    return SimpleNamespace(
        name=lambda: name,
        type=lambda: kind,
        source_id=lambda: source_id,
        hostname=lambda: "lab",
        channel_count=lambda: 8,
        nominal_srate=lambda: said["rate"],
        channel_format=lambda: said["format"],
        uid=lambda: uid,
    )


def test_source_id_goes_before_name_before_type() -> None:
    a, b, c = stream("1", name="x"), stream("2", source_id="x"), stream("3", kind="x")
    assert choose("x", [a, b, c], signal=True) is b
    assert choose("x", [c, a], signal=True) is a
    assert choose("x", [c], signal=True) is c


def test_one_stream_that_answers_twice_is_one() -> None:
    assert choose("amp", [stream("1"), stream("1")], signal=True).uid() == "1"


def test_a_source_id_shared_with_markers_means_the_signal_or_the_markers() -> None:
    signal = stream("1", source_id="dev")
    marks = stream("2", name="amp-events", source_id="dev", rate=0.0, format=STRING)
    assert choose("dev", [signal, marks], signal=True) is signal
    assert choose("dev", [signal, marks], signal=False) is marks


def test_two_streams_that_fit_alike_are_named() -> None:
    with pytest.raises(BadInputError, match=r"2 LSL streams have the type 'EEG'.*'a'.*'b'"):
        choose("EEG", [stream("1", name="a"), stream("2", name="b")], signal=True)


def test_a_stream_that_went_away() -> None:
    with pytest.raises(SourceError, match="went away while it was looked up"):
        choose("amp", [], signal=True)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(BadInputError, match="needs a name, a type or a source_id"):
        find(" ", 0.1, signal=True)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("amp", "'amp'"),
        ("Ann's", '"Ann\'s"'),
        ("a'b\"c", "concat('a', \"'\", 'b\"c')"),
    ],
)
def test_quotes_in_names(text: str, literal: str) -> None:
    assert predicate(text) == f"name={literal} or type={literal} or source_id={literal}"


def test_problems_name_a_config_file_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lsl_network, "_discovers", lambda: True)
    assert lsl_problems() == []
    (tmp_path / "lsl_api.cfg").write_text("[lab]\n")
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "none.cfg"))
    monkeypatch.setattr(lsl_network, "_discovers", lambda: False)
    config, variable, discovery = lsl_problems()
    assert str(tmp_path / "lsl_api.cfg") in config.what
    assert "none.cfg" in variable.what
    assert variable.remedy == "unset LSLAPICFG"
    assert "discovered" in discovery.what


class FakeInlet:
    """A ``pylsl.StreamInlet`` that gives what it is told to."""

    def __init__(self) -> None:
        self.stamps: list[float] = []
        self.correction: float | None = 0.0
        self.reset = self.lost = False

    def pull_chunk(
        self, _: float, n: int, *, as_numpy: bool
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        if self.lost:
            raise LostError("the stream has been lost.")
        taken, self.stamps = self.stamps[:n], self.stamps[n:]
        return np.array(taken, dtype=np.float32)[:, None], np.array(taken, dtype=np.float64)

    def was_clock_reset(self) -> bool:
        reset, self.reset = self.reset, False
        return reset

    def time_correction(self, timeout: float) -> float:
        if self.correction is None:
            raise TimeoutError("the operation failed due to a timeout.")
        return self.correction

    def samples_available(self) -> int:
        return len(self.stamps)


FACTS = StreamEntry("amp", "EEG", "", "lab", 1, 250.0, "float32", "1")


def make(correction: float | None = 10.0) -> tuple[Inlet, FakeInlet, ManualClock]:
    fake, clock = FakeInlet(), ManualClock(100.0)
    fake.correction = correction
    return Inlet(fake, FACTS, correction=correction, offset=1.0, clock=clock), fake, clock


def test_stamps_are_moved_onto_the_session_s_clock() -> None:
    inlet, fake, clock = make()
    fake.stamps = [80.0, 80.5]
    np.testing.assert_array_equal(inlet.pull().times, [91.0, 91.5])
    fake.correction = 10.25  # the clocks drift; looked at once a second
    clock.advance(1.0)
    fake.stamps = [81.0]
    np.testing.assert_array_equal(inlet.pull().times, [92.25])


def test_a_backlog_of_any_length_comes_in_one_read() -> None:
    inlet, fake, _ = make()
    fake.stamps = list(np.arange(2000) / 250)
    pulled = inlet.pull()
    np.testing.assert_array_equal(pulled.times, np.arange(2000) / 250 + 11.0)
    assert pulled.restart is None


def test_rows_of_a_restarted_sender_wait_for_its_clock() -> None:
    """A sender on a machine that was rebooted would else be days off for half a second."""
    inlet, fake, clock = make()
    fake.stamps = [80.0, 80.004]
    inlet.pull()
    fake.reset, fake.correction, fake.stamps = True, None, [80.008, 2.0, 2.004]
    assert len(inlet.pull().times) == 0
    assert inlet.waiting()
    fake.stamps = [2.008]
    clock.advance(0.5)
    assert len(inlet.pull().times) == 0
    fake.correction = 99.0
    pulled = inlet.pull()
    np.testing.assert_allclose(pulled.rows[:, 0], [80.008, 2.0, 2.004, 2.008], rtol=1e-6)
    assert pulled.restart == 1
    assert pulled.times[1] == 102.0
    assert not inlet.waiting()


def test_a_restart_shows_at_the_first_row_even_if_that_comes_later() -> None:
    inlet, fake, _ = make()
    fake.stamps = [80.0]
    inlet.pull()
    fake.reset = True
    assert inlet.pull().restart is None
    fake.stamps = [90.0, 90.004]
    assert inlet.pull().restart == 0
    fake.stamps = [90.008]
    assert inlet.pull().restart is None


def test_rows_don_t_wait_for_ever_for_a_clock_that_gives_no_answer() -> None:
    inlet, fake, clock = make()
    fake.reset, fake.correction, fake.stamps = True, None, [80.0]
    assert len(inlet.pull().times) == 0
    clock.advance(HOLD_S)
    np.testing.assert_array_equal(inlet.pull().times, [91.0])


def test_a_clock_that_can_t_be_measured_is_not_asked_again() -> None:
    inlet, fake, clock = make(correction=None)
    clock.advance(10.0)
    fake.reset, fake.stamps = True, [80.0]
    pulled = inlet.pull()
    assert (pulled.times[0], pulled.restart) == (81.0, 0)


def test_a_lost_sender_is_an_error_with_the_remedy() -> None:
    inlet, fake, _ = make()
    fake.lost, fake.stamps = True, [1.0]
    with pytest.raises(SourceError, match=r"'amp' is gone: its sender on lab has ended .* again"):
        inlet.pull()
    assert not inlet.waiting()
    assert inlet.uid() == ""


def reader(n_channels: int, labels: list[str] | None = None) -> MarkerReader:
    info = SimpleNamespace(channel_count=lambda: n_channels, get_channel_labels=lambda: labels)
    return MarkerReader(info)


def rows(*values: Any, dtype: Any = np.float64) -> Pulled:
    made = np.array(values, dtype=dtype)
    return Pulled(made, np.arange(len(values), dtype=np.float64) + 5.0, 10.0)


def test_text_and_numbers_become_labels() -> None:
    text = rows([b" T1 "], [b""], ["Fuß".encode()], [b"\xff"], dtype=object)
    assert [m.label for m in reader(1).read(text)] == ["T1", "Fuß", "\ufffd"]
    numbers = reader(1, ["marker"]).read(rows([769.0], [0.5], [float("nan")]))
    assert [(m.label, m.time) for m in numbers] == [("769", 5.0), ("0.5", 6.0)]
    assert all(m.origin == "lsl" for m in numbers)


def test_several_texts_of_one_row_are_one_label() -> None:
    assert [m.label for m in reader(2).read(rows([b"a", b"b"], dtype=object))] == ["a,b"]


def test_one_column_for_each_kind_of_marker() -> None:
    """As mne-lsl's player sends annotations: the value is the duration, -1 for an instant."""
    made = reader(3, ["T0", "T1", "T2"]).read(rows([0, 4.1, 0], [-1, 0, 0], [0, 0, 0]))
    assert [(m.label, m.time, m.duration) for m in made] == [("T1", 5.0, 4.1), ("T0", 6.0, 0.0)]
