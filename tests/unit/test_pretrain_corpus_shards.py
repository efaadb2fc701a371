"""``rtbci prepare``: what goes into a corpus, what is left out and why; the same bytes again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pretraining import NAMES, RATE, TINY, brain
from recordings import write_brainvision, write_edf

from rtbci.apps.cli import app
from rtbci.errors import BadInputError, RtbciError
from rtbci.models.pretrain.corpus import store
from rtbci.models.pretrain.corpus.manifest import Manifest, read_manifest
from rtbci.models.pretrain.corpus.prepared import FORMAT
from rtbci.models.pretrain.corpus.shards import is_corpus, open_corpus, prepare_corpus
from rtbci.models.pretrain.corpus.sources import find_sources

SHORT_S = 14


def edf(path: Path, seed: int = 0, names: Sequence[str] = NAMES, **changed: Any) -> Path:
    """Write a short recording; ``changed`` are columns by name."""
    data = np.tile(brain(seed, SHORT_S), 2)[:, : len(names)]
    for name, values in changed.items():
        data[:, names.index(name)] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    write_edf(path, names, data, round(RATE))
    return path


def digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "mixed"
    for seed, name in enumerate(("S001R04", "S003R04", "S004R04")):
        markers = [("Stimulus", f"T{1 + i % 2}", round((2 + 4 * i) * RATE)) for i in range(3)]
        data = brain(seed, SHORT_S)
        write_brainvision(folder_of(folder) / f"{name}.vhdr", NAMES, data, markers, round(RATE))
    edf(folder / "a" / "EEG.edf", 5)
    edf(folder / "b" / "EEG.edf", 6)
    shutil.copy(folder / "a" / "EEG.edf", folder / "b" / "copy.edf")
    (folder / "b" / "broken.edf").write_bytes(b"0       " * 40)
    (folder / "notes.txt").write_text("nothing to see\n")
    return folder


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def corpus(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "corpus"
    prepare_corpus([files], out, TINY)
    return out


def test_the_manifest_says_what_went_in_and_what_did_not(files: Path, corpus: Path) -> None:
    manifest = open_corpus(corpus).manifest
    assert [e.name for e in manifest.recordings] == [
        *("S001R04", "S003R04", "S004R04", "a-EEG", "b-EEG")
    ]
    first, last = manifest.recordings[1], manifest.recordings[-1]
    assert (first.source, first.dataset, first.run) == ("mixed/S003R04.vhdr", "eegmmidb", "04")
    assert first.cues == {"left_hand": 2, "right_hand": 1}
    assert first.licence == "ODC-By-1.0"
    assert (last.subject, last.dataset, last.licence) == ("EEG", "b", None)
    assert last.hours * 3600 == pytest.approx(SHORT_S, abs=0.2)
    assert last.sha256 == hashlib.sha256((files / "b" / "EEG.edf").read_bytes()).hexdigest()
    reasons = {e.source: e.reason for e in manifest.left_out}
    assert reasons["mixed/b/copy.edf"] == "the same recording as mixed/a/EEG.edf"
    assert reasons["mixed/b/broken.edf"].startswith("unreadable: broken.edf can't be read as EDF")
    assert len(reasons) == 2
    text = (corpus / "manifest.json").read_text()
    assert str(files.parent) not in text
    assert json.loads(text)["totals"]["hours"] == pytest.approx(5 * SHORT_S / 3600, rel=0.01)


def test_a_corpus_is_read_as_it_was_prepared(corpus: Path) -> None:
    opened = open_corpus(corpus)
    assert opened.recordings is opened.recordings
    for entry, own in zip(opened.manifest.recordings, opened.recordings, strict=True):
        assert (own.name, own.subject, own.dataset) == (entry.name, entry.subject, entry.dataset)
        assert own.electrodes == entry.electrodes == NAMES
        assert len(own.signal) == pytest.approx(entry.hours * 3600 * RATE, abs=1)
    assert opened.preprocess == TINY.preprocess
    opened.check(TINY)


def test_two_processes_and_one_give_the_same_bytes(
    files: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(files, tmp_path / "elsewhere" / "mixed")
    prepare_corpus([tmp_path / "elsewhere" / "mixed"], tmp_path / "again", TINY, workers=2)
    assert digests(tmp_path / "again") == digests(corpus)


def test_what_is_there_is_not_prepared_again(files: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(corpus, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.npy")}
    shutil.rmtree(out / "b-EEG")
    prepare_corpus([files], out, TINY)
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*.npy")}
    assert {p.parent.name for p in after if after[p] != before[p]} == {"b-EEG"}
    assert digests(out) == digests(corpus)


def test_skipped_subjects_are_not_even_opened(files: Path, tmp_path: Path) -> None:
    made = prepare_corpus([files], tmp_path / "o", TINY, skip=lambda s: not s.endswith("S003"))
    assert [e.name for e in made.manifest.recordings] == ["S003R04"]
    assert {e.subject for e in made.manifest.skipped} >= {"eegmmidb-S001", "eegmmidb-S004"}
    assert not made.manifest.left_out


def test_bad_channels_are_named_with_their_reason(tmp_path: Path) -> None:
    n = SHORT_S * round(RATE)
    t = np.arange(n) / RATE
    names = ["Fp1", "Fz", "Cz", "Pz", "Oz", "EOG", "Ch7"]
    square = 3276.7 * np.sign(np.sin(2 * np.pi * 0.9 * t))
    edf(
        tmp_path / "x.edf",
        names=names,
        Fp1=0.0,
        Cz=800 * np.sin(2 * np.pi * 50 * t) + brain(3, SHORT_S)[:, 0] * 0.2,
        Pz=square,
    )
    (entry,) = prepare_corpus([tmp_path / "x.edf"], tmp_path / "o", TINY).manifest.recordings
    assert entry.electrodes == ("Fz", "Oz")
    assert entry.left_out == {
        "Fp1": "flat in 100% of its seconds",
        "Cz": "line noise in 100% of its seconds",
        "Pz": "railed in 100% of its seconds",
        "EOG": "not an electrode (EOG)",
        "Ch7": "no position: its name is none of the 10-05 system",
    }


def test_a_montage_names_what_names_nothing(tmp_path: Path) -> None:
    edf(tmp_path / "x.edf", names=["Ch1", "Ch2", "Ch3"])
    with pytest.raises(BadInputError, match=r"none of its 3 channels is usable.*--montage tells"):
        prepare_corpus([tmp_path / "x.edf"], tmp_path / "o", TINY)
    made = prepare_corpus([tmp_path / "x.edf"], tmp_path / "o", TINY, montage="C3,-,C4")
    (entry,) = made.manifest.recordings
    assert entry.electrodes == ("C3", "C4")
    with pytest.raises(BadInputError, match="the montage has 2 names but"):
        prepare_corpus([tmp_path / "x.edf"], tmp_path / "o", TINY, montage="C3,C4")


def test_a_file_that_ends_early_is_used_and_said(tmp_path: Path) -> None:
    path = edf(tmp_path / "x.edf")
    path.write_bytes(path.read_bytes()[:-3000])
    (entry,) = prepare_corpus([path], tmp_path / "o", TINY).manifest.recordings
    assert entry.notes == ("it ends after 12 of 14 records",)


def test_bids_tells_subjects_bad_channels_and_events(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "ds")
    (root / "dataset_description.json").write_text(
        json.dumps({"Name": "Hands & Feet", "BIDSVersion": "1.9.0", "License": "CC0"})
    )
    eeg = folder_of(root / "sub-07" / "ses-b" / "eeg")
    stem = "sub-07_ses-b_task-mi_run-2"
    write_brainvision(eeg / f"{stem}_eeg.vhdr", NAMES, brain(0, SHORT_S), [], round(RATE))
    (root / "task-mi_channels.tsv").write_text("name\ttype\tstatus\nC3\tEEG\tbad\n")
    (eeg / f"{stem}_channels.tsv").write_text(
        "name\ttype\tstatus\tstatus_description\nC3\tEEG\tgood\tn/a\nCz\tEEG\tbad\tloose\n"
        "FC4\tMISC\tn/a\tn/a\n"
    )
    (eeg / f"{stem}_events.tsv").write_text(
        "onset\tduration\ttrial_type\n2.0\t3\tfeet\n7.5\tn/a\tleft_hand\nn/a\t1\tfeet\n9\t1\tpause\n"
    )
    edf(root / "derivatives" / "clean" / "sub-07_eeg.edf")
    (entry,) = prepare_corpus([root], tmp_path / "o", TINY).manifest.recordings
    assert (entry.dataset, entry.subject) == ("hands-feet", "hands-feet-07")
    assert (entry.session, entry.run, entry.licence) == ("b", "2", "CC0")
    assert entry.left_out == {
        "Cz": "bad in channels.tsv: loose",
        "FC4": "not an electrode (MISC in channels.tsv)",
    }
    assert entry.cues == {"feet": 1, "left_hand": 1}


def test_moabb_names_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mne = pytest.importorskip("mne", reason="MOABB gives its data as mne objects")
    info = mne.create_info([*NAMES, "stim"], RATE, ["eeg"] * len(NAMES) + ["stim"])
    data = np.vstack([brain(0, SHORT_S).T * 1e-6, np.zeros(SHORT_S * round(RATE))])
    data[-1, 500:510] = 1
    run = mne.io.RawArray(data, info, verbose="error")
    made = SimpleNamespace(
        subject_list=[1],
        event_id={"left_hand": 1},
        get_data=lambda subjects: {s: {"0": {"0": run}} for s in subjects},
    )
    module = ModuleType("moabb.datasets")
    module.Tiny = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moabb", ModuleType("moabb"))
    monkeypatch.setitem(sys.modules, "moabb.datasets", module)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    (entry,) = prepare_corpus(["moabb:Tiny"], tmp_path / "o", TINY).manifest.recordings
    assert (entry.dataset, entry.subject, entry.cues) == ("Tiny", "Tiny-1", {"left_hand": 1})
    assert entry.source == "moabb:Tiny/sub-1_ses-0_run-0_eeg.fif"


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.edf").write_bytes(b"nonsense" * 100)
    with pytest.raises(BadInputError, match=r"none of the 1 recordings can be used; x\.edf"):
        prepare_corpus([tmp_path / "x.edf"], tmp_path / "o", TINY)
    with pytest.raises(BadInputError, match="was not finished: 0 recordings"):
        open_corpus(tmp_path / "o")
    with pytest.raises(BadInputError, match="is no corpus, and it is not empty"):
        prepare_corpus([tmp_path / "x.edf"], tmp_path, TINY)
    with pytest.raises(BadInputError, match=r"x\.edf is a file"):
        prepare_corpus([tmp_path / "x.edf"], tmp_path / "x.edf", TINY)


def test_another_version_is_said(corpus: Path, tmp_path: Path) -> None:
    values = json.loads((corpus / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(values | {"format": 3}))
    with pytest.raises(BadInputError, match=r"another version of rtbci \(its format is 3, this"):
        open_corpus(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format"')
    with pytest.raises(BadInputError, match="is damaged"):
        open_corpus(tmp_path)
    with pytest.raises(BadInputError, match="is no corpus that rtbci prepare wrote"):
        open_corpus(tmp_path / "nowhere")
    assert not is_corpus(tmp_path / "nowhere")


@pytest.mark.parametrize("meta", ['{"format": FORMAT}', "[]"])
def test_a_damaged_recording_is_said(corpus: Path, tmp_path: Path, meta: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    damaged = open_corpus(copy).manifest.recordings[0].name
    (copy / damaged / "meta.json").write_text(meta.replace("FORMAT", str(FORMAT)))
    with pytest.raises(BadInputError, match="prepare"):
        _ = open_corpus(copy).recordings


@pytest.mark.parametrize("settings", [{}, [], {"preprocess": 1}])
def test_a_manifest_without_its_chain_is_said(
    corpus: Path, tmp_path: Path, settings: object
) -> None:
    values = json.loads((corpus / "manifest.json").read_text()) | {"settings": settings}
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(BadInputError, match="is damaged"):
        open_corpus(tmp_path)


def test_another_high_pass_is_another_corpus(files: Path, tmp_path: Path) -> None:
    asked = ["prepare", str(files / "b"), "--out", str(tmp_path / "o"), "--size", "tiny"]
    app([*asked, "--highpass", "1", "--json"], standalone_mode=False)
    made = open_corpus(tmp_path / "o")
    assert made.preprocess.high_pass_hz == 1.0
    with pytest.raises(BadInputError, match="was prepared with preprocess = "):
        made.check(TINY)


def test_the_summary_names_what_was_left_out(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app(
        ["prepare", str(files / "b"), "--out", str(tmp_path / "o"), "--size", "tiny"],
        standalone_mode=False,
    )
    said = capsys.readouterr().out
    assert "2 recordings of 2 subjects: 0.01 h" in said
    assert "1 left out:\n  b/broken.edf: unreadable: broken.edf can't be read as EDF" in said


def test_a_full_disk_leaves_what_is_prepared(
    files: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, room = store.GrowingArray.append, [4]

    def until_full(self: store.GrowingArray, rows: Any) -> None:
        room[0] -= len(rows) > 0
        if room[0] < 0:
            with store.writing(self._path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(store.GrowingArray, "append", until_full)
        with pytest.raises(RtbciError, match=r"the disk is full; 2 of 7 recordings .* goes on"):
            prepare_corpus([files], tmp_path / "o", TINY)
    partial = read_manifest(tmp_path / "o")
    assert not partial.complete
    assert [e.name for e in partial.recordings] == ["S001R04", "S003R04"]
    prepare_corpus([files], tmp_path / "o", TINY)
    assert digests(tmp_path / "o") == digests(corpus)


def test_ctrl_c_leaves_what_is_prepared(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(share: float, text: str) -> None:
        if text.startswith("2 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_corpus([files], tmp_path / "o", TINY, progress=interrupt)
    partial: Manifest = read_manifest(tmp_path / "o")
    assert (partial.complete, len(partial.recordings)) == (False, 1)
    with pytest.raises(BadInputError, match="Give the same rtbci prepare again"):
        open_corpus(tmp_path / "o")


def test_names_are_unique_and_stay_the_same(tmp_path: Path) -> None:
    for place in ("p/EEG.edf", "q/EEG.edf", "q/r/EEG.edf", "S001R01.edf", "w-1_raw.fif"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = [s.name for s in find_sources([tmp_path])]
    assert names == ["S001R01", "p-EEG", "q-EEG", "r-EEG", "w-1_raw"]
    again = [s.name for s in find_sources([tmp_path / "q", tmp_path / "S001R01.edf", tmp_path])]
    assert len(set(again)) == 5


def test_one_subject_may_have_two_montages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edf(tmp_path / "d" / "S003R01.edf", 1)
    edf(tmp_path / "d" / "S003R02.edf", 2, names=["C3", "C4"])
    app(
        ["prepare", str(tmp_path / "d"), "--out", str(tmp_path / "o"), "--size", "tiny"],
        standalone_mode=False,
    )
    assert "1 subjects with more than one montage:\n  eegmmidb-S003: 2" in capsys.readouterr().out
