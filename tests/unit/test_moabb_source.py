"""Public data sets by name, through a stand-in for MOABB."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtbci.calibration.reading.cohort import find_sessions
from rtbci.calibration.reading.track import follow
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.playback import known_classes
from rtbci.sources.moabb_source import expand


def raw_run(seed: int) -> Any:
    mne = pytest.importorskip("mne", reason="MOABB gives its data as mne objects")
    info = mne.create_info(["C3", "Cz", "C4", "stim"], 100.0, ["eeg"] * 3 + ["stim"])
    data = 1e-5 * np.random.default_rng(seed).standard_normal((4, 2000))
    data[3] = 0
    data[3, 300:310], data[3, 900:910], data[3, 1500:1510] = 1, 2, 7
    return mne.io.RawArray(data, info, verbose="error")


@pytest.fixture
def moabb(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A MOABB with one data set of two subjects; gives which were fetched."""
    fetched: list[int] = []

    def get_data(subjects: list[int]) -> dict[int, Any]:
        fetched.extend(subjects)
        return {s: {"0train": {"0": raw_run(s), "1": raw_run(10 + s)}} for s in subjects}

    made = SimpleNamespace(
        subject_list=[1, 2], event_id={"left_hand": 1, "right_hand": 2}, get_data=get_data
    )
    module = ModuleType("moabb.datasets")
    module.Tiny = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moabb", ModuleType("moabb"))
    monkeypatch.setitem(sys.modules, "moabb.datasets", module)
    return fetched


def test_runs_become_files_with_their_cues(moabb: list[int], tmp_path: Path) -> None:
    files = expand(["moabb:Tiny/2", "own.edf"], tmp_path)
    assert [f.name for f in files] == [
        "sub-2_ses-0train_run-0_eeg.fif",
        "sub-2_ses-0train_run-1_eeg.fif",
        "own.edf",
    ]
    track = follow(files[0], {"base": ViewConfig()}, SessionConfig())
    labels = known_classes(files[0])
    assert labels == {"left_hand": "left_hand", "right_hand": "right_hand"}
    cues = [m for m in track.markers if m.label in labels]
    assert [m.label for m in cues] == ["left_hand", "right_hand"]
    np.testing.assert_allclose([m.time for m in cues], [3.0, 9.0], atol=0.01)
    assert expand(["moabb:Tiny/2"], tmp_path) == files[:2]
    assert moabb == [2], "what is there is not fetched again"


def test_a_whole_data_set_is_a_cohort(moabb: list[int], tmp_path: Path) -> None:
    files = expand(["moabb:Tiny"], tmp_path)
    assert [s.subject for s in find_sessions(files)] == ["Tiny/1", "Tiny/2"]


def test_what_is_not_there_is_said(
    moabb: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInputError, match="no data set 'Huge'"):
        expand(["moabb:Huge"], tmp_path)
    with pytest.raises(BadInputError, match=r"no subject '9'; it has 1, 2, as in moabb:Tiny/1"):
        expand(["moabb:Tiny/9"], tmp_path)
    monkeypatch.setitem(sys.modules, "moabb.datasets", None)
    with pytest.raises(BadInputError, match=r"not installed; install it with: pip install 'rtbci"):
        expand(["moabb:Tiny"], tmp_path)
