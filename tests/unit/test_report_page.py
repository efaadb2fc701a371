"""The page of a recording: what it tells is what was recorded, however the session ended."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import BEGUN, CUE_EVERY_S, FLAT_S, HANDS, Plan, chunks, record
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.apps.report.causal import causal_blocks
from rtbci.apps.report.happenings import happenings
from rtbci.apps.report.head import places, png_uri
from rtbci.apps.report.material import gather
from rtbci.apps.report.page import page, write_report
from rtbci.apps.report.trials import balanced_interval
from rtbci.apps.report.words import clock, duration
from rtbci.calibration.scoring.accuracy import TrialScorer
from rtbci.clock import ManualClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.models.ar_model import ARModel
from rtbci.pipeline import Pipeline
from rtbci.recording.layout import find_recording
from rtbci.recording.reader import open_recording
from rtbci.recording.writer import Recorder
from rtbci.types import Channel, ChannelType, Chunk, Forecast, Marker, StreamInfo

ALONE = {"meta", "link", "br", "img", "hr"}
GAPPY = Plan(30.0, gaps=True, flat=True)


class _Tags(HTMLParser):
    """Refuses tags that don't close, and keeps the text and what is linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


def words_of(html: str) -> str:
    """Text of a page that is whole and loads nothing."""
    parser = _Tags()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    assert "<script" not in html
    assert "@import" not in html
    assert "url(http" not in html
    for number in re.findall(r'(?:d|points|x|y|width|height|style)="([^"]*)"', html):
        assert "nan" not in number
    text = " ".join(" ".join(parser.words).split())
    assert not re.search(r"\b(nan|None|inf)\b", text), text
    return text


def told(folder: Path) -> str:
    return words_of(page(gather(open_recording(folder))))


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("gappy"), GAPPY)


def test_blocks_are_what_the_model_saw(gappy: Path) -> None:
    """Two gaps and an electrode that is left out: every filtered row and its time come again."""
    recording = open_recording(gappy)
    model = ARModel(GAPPY.electrodes)
    pipeline = Pipeline(recording.info, recording.config, model, skip=lambda *_: True)
    seen, when = [], []

    def watch(signal: np.ndarray, times: np.ndarray, begins: bool) -> None:
        seen.append(signal.copy())
        when.append(times.copy())

    pipeline.watch = watch
    for chunk in recording.chunks():
        pipeline.push(chunk)
    blocks = list(causal_blocks(recording, 700))
    np.testing.assert_array_equal(np.concatenate([b.signal for b in blocks]), np.concatenate(seen))
    times = np.concatenate([b.signal_times for b in blocks])
    np.testing.assert_allclose(times, np.concatenate(when), rtol=0, atol=1e-6)
    assert [b.begins for b in blocks].count(True) == 2
    assert [b.broken for b in blocks].count(True) == 2
    assert sum(len(b.raw) for b in blocks) == recording.n_rows
    left = [b for b in blocks if not b.good.all()]
    assert len(left) > 0
    assert all(b.good.tolist() == [True, True, True, False] for b in left)


def test_signal_facts(gappy: Path) -> None:
    signal = gather(open_recording(gappy)).signal
    assert signal is not None
    (span,) = signal.out
    assert span.electrode == 3
    assert span.reason.startswith("flat")
    assert FLAT_S[0] < span.start < FLAT_S[1] < span.stop < FLAT_S[1] + 3
    assert signal.out_share(3) == pytest.approx((span.stop - span.start) / signal.seconds)
    assert [gap.cause.value for gap in signal.gaps] == ["lost frames", "stall"]
    # Alpha grows from the first electrode to the last, 12 to 24 µV; noise is 5 µV.
    alpha = signal.band_uv(8, 13)
    assert alpha is not None
    np.testing.assert_allclose(alpha, np.linspace(12, 24, 4) / np.sqrt(2), rtol=0.1)
    expected = np.hypot(np.linspace(12, 24, 4) / np.sqrt(2), 5 * np.sqrt(45 / 125))
    np.testing.assert_allclose(signal.sd_uv, expected, rtol=0.1)
    assert np.isnan(signal.sd_bins_uv[:, 3]).sum() >= 2
    assert np.isfinite(signal.sd_bins_uv[:5]).all()


def test_perfect_forecasts_have_no_error(tmp_path: Path) -> None:
    """Forecasts that are the future itself, as far as float16 holds it."""
    folder = record(tmp_path, replace(GAPPY, decodes=False, forecasts=False, flat=False))
    recording = open_recording(folder)
    blocks = list(causal_blocks(recording))
    segments: list[list[int]] = []
    for i, block in enumerate(blocks):
        if block.begins:
            segments.append([])
        segments[-1].append(i)
    recorder = Recorder(
        tmp_path / "perfect",
        recording.info,
        recording.config,
        subject="unknown",
        task="live",
        extra=recording.extra,
        started=BEGUN,
        clock=ManualClock(),
    )
    for chunk in recording.chunks():
        recorder.write_chunk(chunk)
    foretold = hopeless = 0
    for segment in segments:
        signal = np.concatenate([blocks[i].signal for i in segment])
        times = np.concatenate([blocks[i].signal_times for i in segment])
        for now in range(250, len(signal), 25):
            mean = np.full((250, 4), 777.0, dtype=np.float32)
            rest = signal[now + 1 : now + 251]
            mean[: len(rest)] = rest
            foretold += len(rest) == 250
            hopeless += len(rest) < 250
            made = Forecast(foretold, now, float(times[now]), 250.0, mean, "direct")
            recorder.write_forecast(made, times[now], times[now] + 0.01, {"compute": 0.01})
    recorder.close({})
    facts = gather(open_recording(recorder.folder)).forecasts
    assert facts is not None
    assert facts.count == foretold + hopeless
    assert hopeless > 0
    assert facts.scored == foretold
    assert np.all(facts.error < 1e-5)
    assert np.all(facts.persistence > 0.05)
    assert facts.horizons_ms == (20, 48, 100, 200, 500, 1000)


def test_trials_are_those_of_the_live_score(gappy: Path) -> None:
    recording = open_recording(gappy)
    facts = gather(recording).trials
    assert facts is not None
    scorer = TrialScorer(HANDS, {h: h for h in HANDS}, recording.config.decode.trial_s, 1.0)
    decodes = [item.decode for item in recording.decodes()]
    for chunk in recording.chunks():
        for marker in chunk.markers:
            scorer.on_marker(marker)
        while decodes and decodes[0].sample < chunk.stop:
            scorer.on_decode(decodes.pop(0))
    live = scorer.summary()["accuracy"]
    assert facts.balanced == pytest.approx(live["balanced"], abs=1e-4)
    assert len(facts.trials) == live["trials"] == 5
    assert int(facts.confusion[:, -1].sum()) == live["abstained"] == 1
    assert facts.p_value == pytest.approx(live["p_value"])
    assert [t.cue - BEGUN for t in facts.trials] == pytest.approx(
        CUE_EVERY_S * np.arange(1, 6), abs=0.9
    )
    low, high = facts.interval
    assert low < facts.balanced < high


def test_interval_narrows_with_trials_and_counts_classes_alike() -> None:
    few = balanced_interval(np.array([[5, 0, 0], [0, 5, 0]]))
    many = balanced_interval(np.array([[50, 0, 0], [0, 50, 0]]))
    assert 0.6 < few[0] < many[0] < 1.0
    assert few[1] <= 1.0
    uneven = balanced_interval(np.array([[90, 0, 0], [5, 5, 0]]))
    assert uneven[0] < 0.75 < uneven[1]
    assert balanced_interval(np.array([[3, 1, 0], [0, 0, 0]]))[1] < 1.0


def test_a_session_with_everything(gappy: Path) -> None:
    text = told(gappy)
    for sentence in (
        "3 of 5 cues decided right; 1 without a decision, which counts as wrong.",
        "0.040 s missing (10 rows): lost frames; bridged",
        "0.800 s missing (200 rows): stall; a new segment begins",
        "Pz left out: flat: 0.0 µV",
        "P07: wisher",
        "Spectra",
        "What replays exactly",
        "alpha and mu, 8–13 Hz",
    ):
        assert sentence in text
    assert "did not end properly" not in text


def test_a_killed_session_says_so(tmp_path: Path) -> None:
    """The last line of decodes, record of forecasts and row are torn, and there is no summary."""
    folder = record(tmp_path, Plan(6.0, killed=True))
    for name in ("_decodes.jsonl", "_forecasts.bin", "_eeg.eeg", "_times.bin"):
        (path,) = folder.glob(f"*{name}")
        path.write_bytes(path.read_bytes()[:-7])
    text = told(folder)
    assert "The session did not end properly (it was killed, or it still runs)" in text
    assert "1 499 rows" in text.replace("\u202f", " ")
    assert "AR and ridge are missing" in text


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Plan(0.004), "too short for a spectrum"),
        (Plan(0.5), "Nothing was forecast: the first one needs 1.1 s of signal without a gap."),
        (Plan(2.0), "No forecast's last horizon came before the session ended."),
        (Plan(4.0, electrodes=("C3",)), "1: C3"),
        (Plan(4.0, electrodes=("one", "two")), "two"),
        (Plan(8.0, decodes=False), "Nothing was decoded"),
        (Plan(8.0, forecasts=False), "Nothing was forecast"),
        (Plan(4.0), "No marker is a cue of a class that is decoded"),
    ],
)
def test_sessions_with_little_in_them(tmp_path: Path, plan: Plan, sentence: str) -> None:
    assert sentence in told(record(tmp_path, plan))


def test_nothing_came(tmp_path: Path) -> None:
    folder = record(tmp_path, Plan(0.0))
    assert "The recording holds no rows" in told(folder)


def test_no_electrode_at_all(tmp_path: Path) -> None:
    info = StreamInfo("box", "lsl", 100.0, (Channel("Trig", ChannelType.TRIG, ""),))
    recorder = _recorder(tmp_path, info, {})
    rows = np.zeros((50, 1), dtype=np.float32)
    recorder.write_chunk(Chunk(0, rows, BEGUN + np.arange(50) / 100, BEGUN + 0.5))
    recorder.close({})
    assert "No channel is an electrode" in told(recorder.folder)


def test_cues_alone(tmp_path: Path) -> None:
    folder = record(tmp_path, Plan(12.0, decodes=False, forecasts=False), extra={"seed": 3})
    text = told(folder)
    assert "It was recorded with cues alone" in text
    assert "What replays exactly" not in text


def test_many_electrodes(tmp_path: Path) -> None:
    from rtbci.montage import MONTAGES

    text = told(record(tmp_path, Plan(4.0, electrodes=MONTAGES["eegmmidb-64"], forecasts=False)))
    assert "all 64 electrodes, in the order of the montage" in text


def test_words_of_others_stay_words(tmp_path: Path) -> None:
    """A marker, a channel and a subject that would be HTML."""
    info = StreamInfo("<b>board", "lsl", 250.0, (Channel("C3<i>"), Channel("C4")))
    recorder = _recorder(tmp_path, info, {}, subject="<script>alert(1)</script>")
    rows = np.random.default_rng(0).normal(0, 10, (1000, 2)).astype(np.float32)
    times = BEGUN + np.arange(1000) / 250
    marker = Marker(BEGUN + 1, "<img src=x>", 0.0, "lsl", 250)
    recorder.write_chunk(Chunk(0, rows, times, float(times[-1]), markers=(marker,)))
    recorder.write_command(500, "note</td>", {"said": "<script>"})
    recorder.close({"ended": "error: <br>"})
    html = page(gather(open_recording(recorder.folder)))
    text = words_of(html)
    assert "<img src=x> (lsl)" in text
    assert "subject <script>alert(1)</script>" in text
    assert "The session was ended by an error: error: <br>" in text


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    info = StreamInfo("board", "lsl", 250.0, (Channel("C3"), Channel("C4")))
    recorder = _recorder(tmp_path, info, {})
    rows = np.random.default_rng(0).normal(0, 10, (2000, 2)).astype(np.float32)
    rows[:, 1] = np.nan
    rows[100:200, 0] = np.inf
    times = BEGUN + np.arange(2000) / 250
    recorder.write_chunk(Chunk(0, rows, times, float(times[-1])))
    recorder.close({})
    made = gather(open_recording(recorder.folder))
    words_of(page(made))
    assert made.signal is not None
    assert np.isfinite(made.signal.sd_uv[0])


def test_happenings_are_told_in_order(tmp_path: Path) -> None:
    info = StreamInfo("board", "lsl", 250.0, (Channel("C3"), Channel("C4")))
    recorder = _recorder(tmp_path, info, {})
    times = BEGUN + np.arange(1000) / 250
    recorder.write_chunk(Chunk(0, np.ones((1000, 2), np.float32), times, float(times[-1])))
    lines: tuple[tuple[int, str, dict[str, Any], str], ...] = (
        (250, "leave_out", {"channel": "C3"}, "C3 left out by hand"),
        (300, "outputs", {"stopped": True, "time": BEGUN + 1.3}, "outputs stopped: nothing but"),
        (500, "threshold", {"on": 0.9, "off": 0.4}, "thresholds set to 0.9 and 0.4"),
        (500, "skip_forecast", {"token": 3}, ""),
        (750, "take_back", {"channel": "C3"}, "C3 taken back by hand"),
        (
            800,
            "adaptation",
            {"time": BEGUN + 3.2, "change": "kept", "values": {"trials": 20}},
            "the decoder was kept: trials 20",
        ),
        (900, "note_of_mine", {"text": "moved", "n": [1, 2]}, "text moved, n [1, 2]"),
        (5000, "beyond", {}, ""),
    )
    for sample, kind, values, _ in lines:
        recorder.write_command(sample, kind, values)
    recorder.close({})
    found = list(happenings(open_recording(recorder.folder), BEGUN))
    wanted = [row for row in lines if row[1] != "skip_forecast"]
    assert [h.kind for h in found] == [kind for _, kind, _, _ in wanted]
    for happening, (sample, _, _, words) in zip(found, wanted, strict=True):
        assert happening.text.startswith(words)
        assert happening.time == pytest.approx(min(sample, 999) / 250, abs=0.11)
    assert "1 forecast left out because it would have come too late." in told(recorder.folder)


def test_memory_does_not_grow_with_the_session(tmp_path: Path) -> None:
    """Five and twenty minutes: what is held at once is a block, not the session."""
    info = StreamInfo("board", "lsl", 250.0, (Channel("C3"), Channel("C4")))
    block = np.random.default_rng(0).normal(0, 10, (15_000, 2)).astype(np.float32)
    peaks = []
    for minutes in (5, 20):
        recorder = _recorder(tmp_path / str(minutes), info, {})
        for i in range(minutes):
            times = BEGUN + (15_000 * i + np.arange(15_000)) / 250
            recorder.write_chunk(Chunk(15_000 * i, block, times, float(times[-1])))
        recorder.close({})
        recording = open_recording(recorder.folder)
        gather(recording)  # what is imported on the way is no cost of the recording
        tracemalloc.start()
        try:
            gather(recording)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_the_card_of_the_decoder_is_shown(tmp_path: Path) -> None:
    from rtbci.calibration.card import Card, Control, Score, write_card
    from rtbci.calibration.controls.patterns import Pattern
    from rtbci.calibration.evaluation.learning import LearningCurve
    from rtbci.calibration.scoring.verdict import Verdict

    folder = record(tmp_path, Plan(12.0, subject="P07"))
    names = ("Fp1", "C3", "Cz", "C4", "Pz")
    card = Card(
        subject="P07",
        created="2026-01-01T00:00:00+00:00",
        decoder="csp+lda",
        file="",
        sha256="",
        classes=HANDS,
        electrodes=names[1:],
        source_rate=250.0,
        recordings=("sub-P07_task-calibration_run-01",),
        score=Score(0.71, "across runs", 48, 2, 0.005, 200, "the rim reads it nearly as well"),
        controls=(Control("rim, low frequencies", 1, (0.3, 4.0), 0.54),),
        verdict=Verdict("above chance", 0.005, 0.036, (48,), 0.8),
        curve=LearningCurve((20, 40), (0.6, 0.71), 10, 0.74, 0.6, 0.85, (0.5, 0.6), (0.7, 0.8)),
        patterns=(Pattern("right_hand against left_hand", (8.0, 30.0), names, (0, -1, 0, 1, 0)),),
        regressed=("Fp1",),
    )
    (folder / "decoder").mkdir()
    (folder / "decoder" / "profile.toml").write_text(write_card(card), encoding="utf-8")
    text = told(folder)
    for sentence in (
        "above chance",
        "Balanced accuracy 0.71 over 48 trials (across runs), cross-validated",
        "the rim reads it nearly as well.",
        "rim, low frequencies 0.54",
        "with 10 more trials expect 0.74 [0.60, 0.85]",
        "8–30 Hz: right hand against left hand",
        "Regressed out (eyes and muscle): Fp1.",
    ):
        assert sentence in text
    (folder / "decoder" / "profile.toml").write_text("subject = 3", encoding="utf-8")
    assert "The decoder's card can't be read: profile" in told(folder)


def test_the_command_writes_beside_the_recording(tmp_path: Path) -> None:
    folder = record(tmp_path, Plan(3.0))
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0
    written = folder.with_name(f"{folder.name}.html")
    assert str(written) in result.output.replace("\n", "")
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(written.parent.glob("*.part")) == []


def test_verified_on_the_page(tmp_path: Path) -> None:
    """Replayed on the platform that recorded: everything comes again."""
    from rtbci.apps.assemble import limit_threads, platform_facts

    folder = record(tmp_path, Plan(4.0, decodes=False))
    session = find_recording(folder).session
    values = json.loads(session.read_text(encoding="utf-8"))
    limit_threads()
    values["extra"]["platform"] = platform_facts("cpu")
    session.write_text(json.dumps(values), encoding="utf-8")
    out = write_report(folder, tmp_path / "r.html", verify=True)
    text = words_of(out.read_text(encoding="utf-8"))
    assert "identical to the last bit: 0 decodes and 31 forecasts" in text
    assert "Not replayed for this page" not in text


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.edf"
    foreign.write_bytes(b"0       ")
    with pytest.raises(BadInputError, match="is no recording of rtbci"):
        write_report(foreign)
    folder = record(tmp_path / "recorded", Plan(0.5))
    with pytest.raises(BadInputError, match="is a folder; name the file"):
        write_report(folder, tmp_path)
    with pytest.raises(BadInputError, match="can't be written"):
        write_report(folder, tmp_path / "nowhere" / "r.html")


def test_places_of_electrodes() -> None:
    """The nose is up, left is left, and T7 and T8 lie on the outline."""
    cz, c3, fz, t8, none = places(["Cz", "C3", "Fz", "T8", "one"])
    assert np.hypot(*cz) < 0.1
    assert c3[0] < -0.3
    assert fz[1] < -0.3
    assert np.hypot(*t8) == pytest.approx(1.0, abs=0.08)
    assert np.isnan(none).all()


def test_pictures_are_png() -> None:
    from base64 import b64decode

    pixels = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    content = b64decode(png_uri(pixels).split(",")[1])
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.50 s"), (40, "40.0 s"), (243, "4 min 03 s"), (3725, "1 h 02 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_clocks() -> None:
    assert clock(59.97) == "1:00.0"
    assert clock(3725.04) == "1:02:05.0"
    assert clock(-1.5) == "-0:01.5"


def test_the_simulated_session_is_what_it_says() -> None:
    """Rows, gaps and cues of the recordings that the tests above are about."""
    made = chunks(GAPPY)
    assert sum(len(c.data) for c in made) == 30 * 250 - 210
    assert [g.missing for c in made for g in c.gaps] == [10, 200]
    assert sum(len(c.markers) for c in made) == 5


def _recorder(
    parent: Path, info: StreamInfo, extra: dict[str, object], subject: str = "unknown"
) -> Recorder:
    return Recorder(
        parent,
        info,
        SessionConfig(),
        subject=subject,
        task="live",
        extra=extra,
        started=BEGUN,
        clock=ManualClock(),
    )
