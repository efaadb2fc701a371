"""One way to play a file: the same montage and the same speeds, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings import write_edf

from rtbci.calibration.reading.track import open_source
from rtbci.clock import ManualClock
from rtbci.errors import BadInputError
from rtbci.playback import file_source
from rtbci.sources.pace import rows_due, times_life


@pytest.fixture
def unnamed(tmp_path: Path) -> Path:
    path = tmp_path / "unnamed.edf"
    write_edf(path, ["EMG 1", "EMG 2"], np.zeros((200, 2)))
    return path


def test_a_montage_makes_eeg_of_what_has_no_name(unnamed: Path) -> None:
    """Calibration demanded the montage that it had been given: the file was refused before."""
    with pytest.raises(BadInputError, match=r"no EEG channel.*name them by --montage"):
        file_source(unnamed, speed="max").open()
    for source in (
        file_source(unnamed, speed=1.0, montage="C3,C4"),
        open_source(unnamed, ManualClock(), "C3,C4"),
    ):
        assert source.open().electrodes == ("C3", "C4")
        source.close()


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_is_above_zero(unnamed: Path, speed: float) -> None:
    with pytest.raises(BadInputError, match="speed is a number above 0 or 'max', got"):
        file_source(unnamed, speed=speed)


def test_rows_are_due_at_their_times() -> None:
    times = np.arange(10) / 4
    assert rows_due(times, 100.0, 100.5, 1.0) == 3
    assert rows_due(times, 100.0, 100.5, 2.0) == 5
    assert rows_due(times, 100.0, 99.0, 1.0) == 0
    assert rows_due(times, 100.0, 99.0, times_life("max")) == 10
