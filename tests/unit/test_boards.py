from __future__ import annotations

import sys

import pytest

from rtbci.errors import BadInputError, SourceError
from rtbci.sources import boards, driver
from rtbci.types import ChannelType


@pytest.mark.parametrize("name", ["cyton", "CYTON", "Cyton_Board", " cyton-board", "0"])
def test_boards_are_found_in_any_spelling(name: str) -> None:
    assert boards.find_board_id(name).name == "CYTON_BOARD"


@pytest.mark.parametrize(
    ("name", "near"), [("cytondaisy", "cyton_daisy"), ("simulater", "simulator")]
)
def test_an_unknown_board_gets_its_neighbours_named(name: str, near: str) -> None:
    with pytest.raises(BadInputError, match=f"no board '{name}'; did you mean .*{near}"):
        boards.find_board_id(name)


def test_every_board_is_listed() -> None:
    entries = {entry.name: entry for entry in boards.list_boards()}
    assert len(entries) > 60
    assert (entries["cyton"].id, entries["cyton"].rate, entries["cyton"].n_eeg) == (0, 250, 8)
    assert entries["cyton"].transport == "serial port"
    assert entries["ganglion"].transport == "Bluetooth dongle"
    assert entries["ganglion_native"].transport == "Bluetooth"
    assert entries["cyton_wifi"].transport == "network"
    assert entries["playback_file"].transport == "file"


def test_every_board_can_be_laid_out_with_unique_names() -> None:
    shim = driver.load_brainflow()
    for entry in boards.list_boards():
        if entry.rate == 0:
            continue
        board = boards.find_board_id(entry.name)
        layout = boards.lay_out(board.name, shim.BoardShim.get_board_descr(board), 24)
        names = [channel.name for channel in layout.channels]
        assert len(set(names)) == len(names), entry.name
        assert len(set(layout.rows)) == len(layout.rows) == len(names)
        assert layout.n_eeg == entry.n_eeg


def test_a_counter_that_finds_no_losses_is_a_channel() -> None:
    ganglion = driver.load_brainflow().BoardShim.get_board_descr(1)
    layout = boards.lay_out("GANGLION_BOARD", ganglion, 24)
    assert layout.counting is None
    assert layout.channels[-1].name == "PACKAGE"
    assert layout.channels[-1].type is ChannelType.MISC
    assert layout.channels[0].full_scale == pytest.approx(15686.3, abs=0.1)


def test_the_gain_command_is_the_boards() -> None:
    assert boards.gain_command(2, 12) == "x1050110Xx2050110X"
    assert boards.gain_command(16, 24).endswith("xI060110X")


@pytest.mark.parametrize(
    ("code", "board", "match"),
    [
        (2, "CYTON_BOARD", "can't open cyton on COM3; close other programs"),
        (7, "CYTON_BOARD", "answers nothing that BrainFlow understands; switch the board on"),
        (13, "ENOPHONE_BOARD", "reached by Bluetooth, .*--board-param KEY=VALUE"),
        (14, "UNICORN_BOARD", "can't use unicorn on this system"),
        (16, "CYTON_BOARD", "already open in this program"),
        (17, "CYTON_BOARD", "GENERAL_ERROR:17"),
    ],
)
def test_brainflows_errors_become_sentences(code: int, board: str, match: str) -> None:
    error = driver.load_brainflow().BrainFlowError("unable to", code)
    text = driver.explain(error, board, boards.transport(board), "COM3")
    with pytest.raises(RuntimeError, match=match):
        raise RuntimeError(text)


def test_params_are_typed_as_brainflow_wants_them() -> None:
    made = driver.input_params("COM3", {"ip_port": "6677", "ip_address": "10.0.0.7"})
    assert (made.serial_port, made.ip_port, made.ip_address) == ("COM3", 6677, "10.0.0.7")


def test_a_brainflow_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    driver.load_brainflow.cache_clear()
    monkeypatch.setitem(sys.modules, "brainflow", None)
    with pytest.raises(SourceError, match=r"BrainFlow can't be loaded .*pip install"):
        driver.load_brainflow()
