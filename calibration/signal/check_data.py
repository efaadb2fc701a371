"""The signal check in a recording: its parts, its prompts, and the signal under them.

recording -> the live pipeline -+-> raw rows of the electrodes (rails, mains)
+-> what a decoder gets of them (eyes, alpha, muscle)
markers -> parts (eyes_open, ...) and prompts (blink, ...), less what is marked bad
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt

from rtbci.calibration.reading.track import play
from rtbci.calibration.reading.trials import BAD, describe_labels
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.recording.reader import is_recording, open_recording
from rtbci.types import (
    BoolArray,
    ChannelHealth,
    Decode,
    FloatArray,
    IndexArray,
    Marker,
    StreamInfo,
    TimeArray,
)

PARTS = ("eyes_open", "eyes_closed", "blinks", "look_sides", "jaw")
"""Markers of the parts, with their planned length."""
PROMPTS = ("blink", "look_left", "look_right", "look_centre", "clench", "release")
AFTER_S = 2.0
"""Signal that is read beyond the last part."""


@dataclass(frozen=True)
class Stretch:
    """A part or a prompt.

    Attributes
    ----------
    label : str
    start, stop : float
        Seconds of the recording's clock.
    """

    label: str
    start: float
    stop: float


@dataclass(frozen=True)
class CheckData:
    """A recorded signal check.

    Attributes
    ----------
    electrodes : tuple of str
    rate : float
        Of ``clean``, Hz.
    clean : ndarray, shape (n_rows, n_electrodes), float32, µV
        After the causal chain, as a decoder gets it.
    times : ndarray, shape (n_rows,), s
    segment : ndarray, shape (n_rows,)
        Number of the segment of each row: no stretch goes across a gap.
    aside : tuple of str
        EOG and EMG channels.
    beside : ndarray, shape (n_rows, n_aside), float32, µV
        These after the causal chain.
    raw : ndarray, shape (n_raw, n_electrodes), float32, µV
    raw_rate : float
        Hz.
    raw_times : ndarray, shape (n_raw,), s
    good_times : ndarray, shape (n_tokens,), s
    good : ndarray, shape (n_tokens, n_electrodes), bool
        What the session's health watch said at each token.
    health : tuple of ChannelHealth
        Its reasons.
    parts, prompts : tuple of Stretch
    """

    electrodes: tuple[str, ...]
    rate: float
    clean: FloatArray
    times: TimeArray
    segment: IndexArray
    aside: tuple[str, ...]
    beside: FloatArray
    raw: FloatArray
    raw_rate: float
    raw_times: TimeArray
    good_times: TimeArray
    good: BoolArray
    health: tuple[ChannelHealth, ...]
    parts: tuple[Stretch, ...]
    prompts: tuple[Stretch, ...]

    def part(self, label: str) -> tuple[Stretch, ...]:
        """Each time that one part was done."""
        return tuple(p for p in self.parts if p.label == label)

    def asked(self, *labels: str) -> tuple[Stretch, ...]:
        """Prompts of some kinds, in order of time."""
        return tuple(p for p in self.prompts if p.label in labels)

    def rows(self, start: float, stop: float) -> slice | None:
        """Rows of ``clean`` from ``start`` to ``stop``; None where they are not all there."""
        first, last = np.searchsorted(self.times, (start, stop))
        if first >= last or self.segment[first] != self.segment[last - 1]:
            return None
        if last - first < 0.95 * (stop - start) * self.rate:
            return None
        return slice(int(first), int(last))

    def filtered(self, low_hz: float | None, high_hz: float | None) -> npt.NDArray[np.float64]:
        """``clean`` in a band, forwards and backwards, segment by segment."""
        corners = [hz for hz in (low_hz, high_hz) if hz is not None]
        kind = "bandpass" if len(corners) == 2 else "lowpass" if low_hz is None else "highpass"
        sos = butter(
            4, corners if len(corners) == 2 else corners[0], kind, fs=self.rate, output="sos"
        )
        out = np.zeros(self.clean.shape, dtype=np.float64)
        for number in np.unique(self.segment):
            inside = self.segment == number
            rows = self.clean[inside].astype(np.float64)
            if len(rows) > round(self.rate):
                out[inside] = sosfiltfilt(sos, rows, axis=0)
        return out


def read_check(
    path: Path, montage: str | None = None, config: SessionConfig | None = None
) -> CheckData:
    """Read the signal check out of a recording.

    Parameters
    ----------
    path : Path
        A recording of ours, or any file whose annotations are called as the check's markers.
    montage : str | None
        As ``--montage`` takes it.
    config : SessionConfig | None
        The recording's own where None.

    Raises
    ------
    BadInputError
        Where the file can't be read, or holds no signal check.
    """
    until = np.inf
    if is_recording(path):
        recording = open_recording(path)
        config = config or recording.config
        parts, _ = find_stretches(recording.markers())
        if not parts or recording.n_rows == 0:
            raise _no_check(path, recording.markers())
        first = float(recording.main.times(0, 1)[0])
        until = max(p.stop for p in parts) - first + AFTER_S
    kept = Kept(path, montage, config or SessionConfig(), until)
    parts, prompts = find_stretches(kept.markers)
    if not parts:
        raise _no_check(path, kept.markers)
    return kept.data(parts, prompts)


def holds_check(path: Path) -> bool:
    """Whether a recording of ours holds a signal check."""
    return is_recording(path) and bool(find_stretches(open_recording(path).markers())[0])


def find_stretches(
    markers: Sequence[Marker],
) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...]]:
    """Parts and prompts of a signal check, without those that a bad span touches.

    A part ends where the next one begins, whatever was planned.
    """
    bad = [m for m in markers if BAD.match(m.label)]
    found = sorted((m for m in markers if m.label in PARTS), key=lambda m: m.time)
    parts = []
    for i, m in enumerate(found):
        following = found[i + 1].time if i + 1 < len(found) else np.inf
        parts.append(Stretch(m.label, m.time, min(m.time + m.duration, following)))
    asked = sorted((m for m in markers if m.label in PROMPTS), key=lambda m: m.time)
    prompts = [Stretch(m.label, m.time, m.time + m.duration) for m in asked]

    def whole(stretch: Stretch) -> bool:
        return stretch.stop > stretch.start and not any(
            m.time < stretch.stop and stretch.start < m.time + m.duration for m in bad
        )

    return tuple(filter(whole, parts)), tuple(filter(whole, prompts))


def _no_check(path: Path, markers: Sequence[Marker]) -> BadInputError:
    return BadInputError(
        f"{path} holds no signal check: its markers are {describe_labels(markers)}, and none of "
        f"{', '.join(PARTS)}; record one with: rtbci calibrate --subject NAME --protocol "
        "signal-check"
    )


class _Listener:
    """Stands where the decoder stands, and keeps what a decoder would get."""

    name, classes, calibrated, window_s = "signal check", ("none",), False, 0.0

    def __init__(self) -> None:
        self.blocks: list[FloatArray] = []
        self.segments: list[int] = []
        self.stops: list[int] = []
        self.good: list[BoolArray] = []
        self._segment = self._rows = 0

    def reset(self) -> None:
        self._segment += 1

    def push(self, block: FloatArray) -> None:
        self.blocks.append(block.copy())
        self.segments.append(self._segment)
        self._rows += len(block)

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        self.stops.append(self._rows)
        self.good.append(good.copy())
        return np.full(1, np.nan), "listening"


class Kept:
    """What one pass over the file gave."""

    def __init__(
        self, path: Path, montage: str | None, config: SessionConfig, until: float
    ) -> None:
        self._listener = _Listener()
        self._infos: list[StreamInfo] = []
        self._rate = config.preprocess.rate_hz
        self._token_times: list[float] = []
        self._health: list[ChannelHealth] = []
        self.markers: list[Marker] = []
        raw, times = [], []
        for step in play(path, self._make, config, montage):
            raw.append(step.chunk.data[:, list(self._infos[0].eeg)])
            times.append(step.chunk.times)
            self.markers += step.chunk.markers
            for result in step.results:
                if isinstance(result, Decode):
                    self._token_times.append(result.time)
                elif isinstance(result, ChannelHealth):
                    self._health.append(result)
            if len(times[-1]) and times[-1][-1] - times[0][0] > until:
                break
        self._raw, self._raw_times = np.concatenate(raw), np.concatenate(times)

    def _make(self, info: StreamInfo) -> _Listener:
        self._infos.append(info)
        return self._listener

    def data(self, parts: tuple[Stretch, ...], prompts: tuple[Stretch, ...]) -> CheckData:
        """All of it; row times are those of the tokens, filled up at the model's rate."""
        heard, info = self._listener, self._infos[0]
        n, nothing = len(info.eeg), np.zeros((0, len(info.decoder_channels)))
        clean = np.concatenate(heard.blocks) if heard.blocks else nothing
        counts = [len(block) for block in heard.blocks]
        segment = np.repeat(np.array(heard.segments, dtype=np.int64), counts)
        times = np.full(len(clean), np.nan)
        stops = np.array(heard.stops, dtype=np.int64)
        for number in np.unique(segment):
            rows = np.flatnonzero(segment == number)
            here = np.flatnonzero((stops > rows[0]) & (stops <= rows[-1] + 1))
            if len(here) == 0:
                continue  # too short for a token
            at = np.minimum(np.searchsorted(stops[here], rows + 1), len(here) - 1)
            last = here[at]
            behind = (stops[last] - 1 - rows) / self._rate
            times[rows] = np.array(self._token_times)[last] - behind
        known = np.isfinite(times)
        return CheckData(
            electrodes=info.electrodes,
            rate=self._rate,
            clean=clean[known, :n].astype(np.float32),
            aside=info.decoder_channels[n:],
            beside=clean[known, n:].astype(np.float32),
            times=times[known],
            segment=segment[known],
            raw=self._raw,
            raw_rate=info.rate,
            raw_times=self._raw_times,
            good_times=np.array(self._token_times),
            good=np.array(heard.good, dtype=np.bool_).reshape(-1, len(info.eeg)),
            health=tuple(self._health),
            parts=parts,
            prompts=prompts,
        )
