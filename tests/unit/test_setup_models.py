"""View models of the set-up: sources, montage, what the decoder reads, impedances."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rtbci.apps.gui.view_models.impedance import ImpedanceModel
from rtbci.apps.gui.view_models.montage import MontageModel, offered_electrodes
from rtbci.apps.gui.view_models.reads import find_reading, list_subjects
from rtbci.apps.gui.view_models.sources import (
    Choice,
    Found,
    Scanner,
    find_recordings,
    preset_for,
    run_settings,
    simulator,
)
from rtbci.apps.settings import RunSettings
from rtbci.errors import BadInputError, SourceError
from rtbci.montage import MONTAGES, UNUSED, parse_montage

PORT = Found("board", "/dev/ttyUSB0", "OpenBCI Cyton dongle")
STREAM = Found("lsl", "amp-1", "Amp", n_channels=3)


def test_a_choice_becomes_the_settings_that_the_command_line_would_make() -> None:
    choice = Choice(
        found=PORT,
        board="cyton",
        montage="openbci-cyton",
        subject=" P07 ",
        record="/tmp/recordings",
        line_hz=50.0,
        osc="127.0.0.1:9000",
        lsl_out=True,
    )
    made = run_settings(choice)
    assert (made.source.kind, made.source.name) == ("board", "cyton")
    assert made.source.serial_port == "/dev/ttyUSB0"
    assert made.session.preprocess.line_hz == (50.0,)
    assert (made.montage, made.subject, made.osc) == ("openbci-cyton", "P07", "127.0.0.1:9000")
    assert made.lsl_out
    assert RunSettings.from_json(made.to_json()) == made


def test_every_kind_of_source_can_be_chosen() -> None:
    assert run_settings(Choice(found=simulator())).source.simulated
    assert run_settings(Choice(found=STREAM)).source.kind == "lsl"
    file = Found("replay", "/data/a.edf", "a")
    assert run_settings(Choice(found=file)).source.is_file
    buffer = Found("fieldtrip", "", "FieldTrip")
    made = run_settings(Choice(found=buffer, fieldtrip="localhost:1972"))
    assert made.source.name == "localhost:1972"


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(), "nothing is chosen"),
        (Choice(found=Found("board", "/dev/x", "x", problem="busy; close it.")), "busy"),
        (Choice(found=PORT, montage="C3,C3"), "named twice"),
        (Choice(found=STREAM, montage="C3,Cz"), "2 names but Amp has 3 channels"),
        (Choice(found=PORT, osc="nowhere"), "HOST:PORT"),
        (Choice(found=PORT, params="mac"), "KEY=VALUE"),
        (Choice(found=Found("fieldtrip", "", "f"), fieldtrip="here"), "HOST:PORT"),
    ],
)
def test_what_can_not_be_read_is_said_in_a_sentence(choice: Choice, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        run_settings(choice)


def wait_for(scanner: Scanner, there: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if there():
            return
        pause.wait(0.01)
    raise AssertionError(f"not found in 30 s: {scanner.found()}")


def test_the_scanner_finds_what_comes_and_loses_what_goes() -> None:
    there: list[Found] = []
    scanner = Scanner(lambda: list(there), lambda: [STREAM], pause_s=0.005)
    scanner.start()
    try:
        wait_for(scanner, lambda: scanner.found().streams == [STREAM])
        there.append(PORT)
        wait_for(scanner, lambda: scanner.found().boards == [PORT])
        there.clear()
        wait_for(scanner, lambda: scanner.found().boards == [])
    finally:
        scanner.close()
        scanner.join()


def test_what_stops_the_scanner_is_said_and_it_goes_on() -> None:
    answers = [SourceError("liblsl can't be loaded")]

    def streams() -> list[Found]:
        if answers:
            raise answers[0]
        return [STREAM]

    scanner = Scanner(list, streams, pause_s=0.005)
    scanner.start()
    try:
        wait_for(scanner, lambda: scanner.found().problem == "liblsl can't be loaded")
        answers.clear()
        wait_for(scanner, lambda: scanner.found().streams == [STREAM])
        assert scanner.found().problem == ""
    finally:
        scanner.close()
        scanner.join()


def test_recordings_are_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub-P07_task-live_run-01").mkdir()
    (tmp_path / "sub-P07_task-live_run-01" / "x_eeg.vhdr").write_text("x", encoding="utf-8")
    (tmp_path / "a.edf").write_text("x", encoding="utf-8")
    (tmp_path / "notes.md").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert {f.title for f in find_recordings(tmp_path)} == {"sub-P07_task-live_run-01", "a"}
    assert find_recordings(tmp_path / "nowhere") == []


def test_presets_fit_the_number_of_channels() -> None:
    assert "openbci-cyton" in preset_for(8)
    assert "openbci-daisy" not in preset_for(8)
    assert preset_for(0) == list(MONTAGES)


def test_every_preset_lies_on_the_head_that_is_offered() -> None:
    offered = set(offered_electrodes())
    assert {n for names in MONTAGES.values() for n in names} - {UNUSED} <= offered
    assert all(parse_montage(name) == (name,) for name in offered)


def test_channels_are_named_one_after_the_other() -> None:
    model = MontageModel((UNUSED,) * 3)
    assert "names no electrode" in model.problem
    for electrode in ("C3", "Cz", "C4"):
        model.assign(electrode)
    assert model.text == "motor-3"
    assert model.at == 0
    assert model.problem == ""


def test_an_electrode_that_is_taken_changes_places() -> None:
    model = MontageModel(("C3", "Cz", UNUSED))
    model.put(2, "C3")
    assert model.names == [UNUSED, "Cz", "C3"]
    model.put(1, "c3")
    assert model.names == [UNUSED, "C3", "Cz"]
    assert model.channel_of("Cz") == 2


def test_a_montage_of_another_device_is_refused() -> None:
    model = MontageModel(("C3", "Cz", "C4"))
    with pytest.raises(BadInputError, match="8 names but there are 3 channels"):
        model.read("openbci-cyton")
    assert model.names == ["C3", "Cz", "C4"]


CARD = """
created = "2026-05-01T10:00:00"
classes = ["left_hand", "right_hand"]
[score]
balanced = 0.78
trials = 40
caveat = "{caveat}"
[online]
dwell_s = 0.3
[[controls]]
name = "rim, low frequencies"
balanced = {eyes}
[[controls]]
name = "all, highest frequencies"
balanced = 0.51
[[controls]]
name = "decoder, before the cue"
note = "too short"
"""


def card(folder: Path, eyes: float = 0.53, caveat: str = "") -> None:
    folder.mkdir(parents=True)
    text = CARD.format(eyes=eyes, caveat=caveat)
    (folder / "profile.toml").write_text(text, encoding="utf-8")


def test_what_the_decoder_reads_comes_from_the_recordings_own_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    card(tmp_path / "subjects" / "P07", eyes=0.9)
    card(tmp_path / "rec" / "decoder")
    assert list_subjects() == ["P07"]
    found = find_reading(str(tmp_path / "rec"), "P07")
    assert found is not None
    assert (found.decoder, found.eyes, found.muscle, found.chance) == (0.78, 0.53, 0.51, 0.5)
    assert found.dwell_s == 0.3
    assert found.doubtful == ()
    assert sum(found.shares()) == pytest.approx(1.0)
    assert found.shares()[0] == pytest.approx(0.25 / 0.29)
    other = find_reading(None, "P07")
    assert other is not None
    assert other.doubtful == ("eyes",)
    assert find_reading(None, "nobody") is None


def test_a_damaged_card_is_no_reading(tmp_path: Path) -> None:
    folder = tmp_path / "decoder"
    folder.mkdir()
    (folder / "profile.toml").write_text("classes = [", encoding="utf-8")
    assert find_reading(str(tmp_path), None) is None


def test_an_impedance_check_is_followed_to_its_proof() -> None:
    model = ImpedanceModel()
    model.begin()
    model.take({"event": "opened", "channels": ["C3", "C4"]})
    assert model.current == "C3"
    model.take({"event": "impedance", "channel": "C3", "ohm": 8e3, "contact": "good"})
    assert model.current == "C4"
    model.take({"event": "impedance", "channel": "C4", "ohm": None, "contact": "open"})
    assert (model.phase, model.off) == ("proving", None)
    model.take({"event": "report", "off": True, "residual_uv": [0.4, 0.7]})
    assert (model.phase, model.off, model.residual_uv) == ("done", True, 0.7)
    assert model.worst() == ["C4"]
    model.ended("gone")
    assert model.phase == "done"


def test_a_check_that_dies_has_proved_nothing() -> None:
    model = ImpedanceModel()
    model.begin()
    model.take({"event": "opened", "channels": ["C3"]})
    model.ended("the check ended (signal 9).")
    assert (model.phase, model.off, model.error) == ("failed", None, "the check ended (signal 9).")
