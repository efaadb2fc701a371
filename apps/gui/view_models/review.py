"""A recording to look through: what was there at any instant of it; no Qt.

    recording --once--> decodes, latencies, what was left out, gaps, markers  (a few bytes a token)
              --asked--> the forecast of an instant, one record off the disk
              --asked--> signals, by :class:`..history.History` off the disk

Times are seconds from the first row of the session, unless they are said to be the clock's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.apps.gui.colours import class_role
from rtbci.apps.report.causal import channel_changes
from rtbci.apps.report.decodes import (
    DecodeFacts,
    LatencyFacts,
    forecast_latency,
    gather_decodes,
)
from rtbci.apps.report.happenings import Happening, happenings, row_time
from rtbci.errors import BadInputError
from rtbci.live.view import ViewInfo
from rtbci.playback import known_classes
from rtbci.recording.reader import open_recording
from rtbci.recording.recording import Recording
from rtbci.recording.results import ForecastHeader, read_header
from rtbci.types import Decode, FloatArray, Gap, Marker

TAIL_S = 26.0
"""So much of the end is handed out as rows: more than any window shows, with its filters' start."""
FRESH_S = 0.25
"""A forecast or decode that is older than this says nothing of an instant."""
MOST_HAPPENINGS = 5000
LATENCY_COLUMNS = 400
"""Pieces of time whose longest latency is shown."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """What was foretold at an instant.

    Attributes
    ----------
    time : float
        Of the newest sample that was seen, seconds of the session's clock.
    times : ndarray, shape (n,), float64
        Of the horizons that are recorded, seconds of the session's clock.
    values : ndarray, shape (n, n_electrodes), float32, µV
        NaN for what was left out.
    """

    time: float
    times: npt.NDArray[np.float64]
    values: FloatArray


@dataclass(frozen=True, slots=True)
class LatencyAt:
    """How late the newest result of an instant was, ms: in all, and by stage."""

    total_ms: float
    stages_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something on the line of time.

    Attributes
    ----------
    start, stop : float
        An upright where they are the same.
    role : str
        Field of :class:`rtbci.apps.gui.colours.Palette`.
    high : float
        How much of the lane's height it fills, from the bottom.
    """

    start: float
    stop: float
    role: str
    high: float = 1.0


@dataclass(frozen=True)
class TimeLane:
    """A lane of the line of time: ``name`` is a text of the catalogue (``review.lane.cues``)."""

    name: str
    stretches: tuple[Stretch, ...]


@dataclass
class _Forecasts:
    """The file of forecasts: its header, and the time of each record."""

    header: ForecastHeader | None = None
    times: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    start: int = 0


class ReviewModel:
    """A recording, by instant.

    Parameters
    ----------
    path : Path
        Its folder, or any file in it.

    Raises
    ------
    BadInputError
        Where there is no recording of ours, or it holds no row or no electrode.
    RecordingError
        Where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        recording = open_recording(path)
        if recording.n_rows == 0 or not recording.info.eeg:
            lacks = "row" if recording.n_rows == 0 else "electrode"
            raise BadInputError(
                f"{recording.files.folder} holds no {lacks}, so there is nothing to look through; "
                f"what it is says: rtbci report {recording.files.folder}"
            )
        self.recording: Recording = recording
        self.begun = float(recording.main.times(0, 1)[0])
        n_rows = recording.n_rows
        self.seconds = float(recording.main.times(n_rows - 1, n_rows)[0]) - self.begun
        self.decodes, latency = gather_decodes(recording.decodes())
        self.latency: LatencyFacts | None = latency or forecast_latency(recording.forecasts())
        self.gaps: tuple[Gap, ...] = tuple(recording.gaps())
        self.markers: tuple[Marker, ...] = tuple(recording.markers())
        self.labels = known_classes(recording.files.folder)
        self.happenings: tuple[Happening, ...] = tuple(
            islice(happenings(recording, self.begun), MOST_HAPPENINGS)
        )
        self._changes = [
            (row_time(recording, change.sample, self.begun) or 0.0, change)
            for change in channel_changes(recording)
        ]
        self._forecasts = _open_forecasts(recording)

    @property
    def info(self) -> ViewInfo:
        """The session, as a window sees one."""
        recording, decodes = self.recording, self.decodes
        header, about = self._forecasts.header, recording.extra.get("model") or {}
        return ViewInfo(
            session=recording.files.stem,
            source=recording.info.name,
            kind=recording.info.kind,
            rate=recording.info.rate,
            channels=recording.info.channels,
            electrodes=recording.info.electrodes,
            model_rate=recording.config.preprocess.rate_hz,
            model=str(about.get("name", "")),
            classes=() if decodes is None else decodes.classes,
            decoder="" if decodes is None else decodes.decoder,
            calibrated=decodes is not None and decodes.calibrated,
            n_horizons=0 if header is None else header.n_horizons,
            recording=str(recording.files.folder),
            subject=recording.subject,
            begun=self.begun,
            ring_s=TAIL_S,
        )

    @property
    def whole(self) -> bool:
        """Whether the session ended as it was meant to."""
        summary = self.recording.summary
        return summary is not None and not summary.get("ended")

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the decodes; empty where nothing was decoded."""
        return () if self.decodes is None else self.decodes.classes

    def left_out(self, time: float) -> dict[str, str]:
        """Electrodes that were left out at an instant, with the reason."""
        names = self.recording.info.electrodes
        out: dict[str, str] = {}
        for when, change in self._changes:
            if when > time:
                break
            if change.reason:
                out[names[change.electrode]] = change.reason
            else:
                out.pop(names[change.electrode], None)
        return out

    def decodes_before(self, time: float, seconds: float) -> list[Decode]:
        """Decodes of the seconds up to an instant, oldest first."""
        facts = self.decodes
        if facts is None:
            return []
        now = self.begun + time
        first = int(np.searchsorted(facts.times, now - seconds))
        last = int(np.searchsorted(facts.times, now + 1e-9, side="right"))
        return [facts.decode(i) for i in range(first, last)]

    def cues_before(self, time: float, seconds: float) -> list[Marker]:
        """Markers of the seconds up to an instant."""
        now = self.begun + time
        return [m for m in self.markers if now - seconds <= m.time <= now]

    def foretold(self, time: float) -> Foretold | None:
        """The forecast that was the newest one at an instant; None where there was none."""
        kept = self._forecasts
        now = self.begun + time
        last = int(np.searchsorted(kept.times, now + 1e-9, side="right")) - 1
        if kept.header is None or last < 0 or kept.times[last] < now - FRESH_S:
            return None
        dtype = kept.header.dtype
        offset = kept.start + last * dtype.itemsize
        record = np.fromfile(self.recording.files.forecasts, dtype, 1, offset=offset)[0]
        ahead = (np.array(kept.header.rows) + 1) / kept.header.rate
        return Foretold(
            float(record["time"]),
            float(record["time"]) + ahead,
            record["published"].astype(np.float32),
        )

    def latency_at(self, time: float) -> LatencyAt | None:
        """How late the newest result of an instant was; None where there was none."""
        facts = self.latency
        if facts is None:
            return None
        now = self.begun + time
        last = int(np.searchsorted(facts.times, now + 1e-9, side="right")) - 1
        if last < 0 or facts.times[last] < now - FRESH_S:
            return None
        stages = {name: float(values[last]) for name, values in facts.stages_ms.items()}
        return LatencyAt(float(facts.total_ms[last]), stages)

    def next_happening(self, time: float, step: int) -> float | None:
        """Time of the next thing that happened (``step`` 1), or of the one before (-1)."""
        times = sorted(h.time for h in self.happenings if h.time is not None)
        if step > 0:
            return next((t for t in times if t > time + 1e-3), None)
        return next((t for t in reversed(times) if t < time - 1e-3), None)

    def lanes(self) -> tuple[TimeLane, ...]:
        """The whole session: cues, decisions, flags, what was left out, gaps, latencies."""
        lanes = [
            TimeLane("cues", tuple(self._cues())),
            TimeLane("decided", tuple(self._decided())),
            TimeLane("flags", tuple(self._flags())),
            TimeLane("left_out", tuple(self._left_out())),
            TimeLane("gaps", tuple(self._gaps())),
            TimeLane("latency", tuple(self._latencies())),
        ]
        return tuple(lane for lane in lanes if lane.stretches)

    def _cues(self) -> Iterator[Stretch]:
        for marker in self.markers:
            time = marker.time - self.begun
            wanted = self.labels.get(marker.label, "")
            if wanted and wanted in (self.classes or (wanted,)):
                role = class_role(wanted, self.classes)
                stop = time + max(marker.duration, self.recording.config.decode.trial_s[1])
                yield Stretch(time, stop, role)
            else:
                yield Stretch(time, time, "secondary", 0.6)

    def _decided(self) -> Iterator[Stretch]:
        facts: DecodeFacts | None = self.decodes
        if facts is None:
            return
        hop = self.recording.config.token.hop_s
        for number, first, last in facts.runs():
            start, stop = (float(facts.times[i]) - self.begun for i in (first, last))
            yield Stretch(start, stop + hop, class_role(facts.classes[number], facts.classes))

    def _flags(self) -> Iterator[Stretch]:
        if self.decodes is None:
            return
        for where in self.decodes.flags.values():
            for time in self.decodes.times[where] - self.begun:
                yield Stretch(float(time), float(time), "third")

    def _left_out(self) -> Iterator[Stretch]:
        since: dict[int, float] = {}
        n = len(self.recording.info.electrodes)
        edges: list[tuple[float, int]] = []
        for when, change in self._changes:
            if change.reason and change.electrode not in since:
                since[change.electrode] = when
                edges.append((when, 1))
            elif not change.reason and since.pop(change.electrode, None) is not None:
                edges.append((when, -1))
        out, ends = 0, [*(time for time, _ in edges[1:]), self.seconds]
        for (start, step), stop in zip(edges, ends if edges else [], strict=True):
            out += step
            if out and stop > start:
                yield Stretch(start, stop, "bad", max(0.35, out / n))

    def _gaps(self) -> Iterator[Stretch]:
        for gap in self.gaps:
            start = gap.start - self.begun
            yield Stretch(start, start + gap.length, "bad")

    def _latencies(self) -> Iterator[Stretch]:
        facts = self.latency
        if facts is None:
            return
        n = max(1, min(LATENCY_COLUMNS, len(facts.times) // 4))
        edges = np.linspace(0.0, max(self.seconds, 1e-3), n + 1)
        place = np.clip(np.searchsorted(edges, facts.times - self.begun) - 1, 0, n - 1)
        worst = np.zeros(n)
        np.fmax.at(worst, place, facts.total_ms.astype(np.float64))
        top = worst.max()
        for i in np.flatnonzero(worst):
            share = max(0.06, float(worst[i] / top))
            yield Stretch(float(edges[i]), float(edges[i + 1]), "good", share)


def _open_forecasts(recording: Recording) -> _Forecasts:
    """Read when each forecast was made."""
    known = read_header(recording.files.forecasts)
    if known is None:
        return _Forecasts()
    header, start = known
    size = recording.files.forecasts.stat().st_size
    count = (size - start) // header.dtype.itemsize
    if count <= 0:
        return _Forecasts()
    mapped = np.memmap(
        recording.files.forecasts, dtype=header.dtype, mode="r", offset=start, shape=(count,)
    )
    return _Forecasts(header, np.array(mapped["time"], dtype=np.float64), start)
