"""A recording as a live session would have met it: the pipeline itself is run over it.

    source -> timeline -> Pipeline (filters, segments, health, tokens) -> collector
                                                                            |
                              causal views of every electrode, and at each token: which row it
                              ends at, its time, which electrodes were good

Nothing is computed a second way here, so what calibration learns from is what the decoder gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtbci.acquisition import Acquisition
from rtbci.calibration.signal.learned import Learned
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.calibration.signal.streaming import CausalView, ViewConfig
from rtbci.clock import Clock, ManualClock
from rtbci.config import SessionConfig
from rtbci.pipeline import Pipeline, require_eeg
from rtbci.sources.base import Source
from rtbci.tick import Decoder, Tick
from rtbci.types import (
    BoolArray,
    ChannelHealth,
    Chunk,
    Decode,
    FloatArray,
    IndexArray,
    Marker,
    Result,
    StreamInfo,
    TimeArray,
)


@dataclass(frozen=True)
class Track:
    """One recording after the causal chain.

    Attributes
    ----------
    path : Path
    rate : float
        Of the recording, Hz.
    electrodes : tuple of str
        Its EEG channels.
    signals : dict of ndarray, shape (n_rows, n_bands, n_electrodes), float32, µV
        By view: all electrodes in its bands, regressed as the view says, not re-referenced,
        segments one after the other.
    token_stop : ndarray, shape (n_tokens,)
        One past the row at which each token ends.
    token_begin : ndarray, shape (n_tokens,)
        First row of its segment.
    token_time : ndarray, shape (n_tokens,), s
    token_good : ndarray, shape (n_tokens, n_electrodes), bool
    markers : tuple of Marker
    health : tuple of ChannelHealth
        What was left out and why.
    aside : tuple of str
        Its EOG and EMG channels: regressed out, and not in ``signals``.
    """

    path: Path
    rate: float
    electrodes: tuple[str, ...]
    signals: dict[str, FloatArray]
    token_stop: IndexArray
    token_begin: IndexArray
    token_time: TimeArray
    token_good: BoolArray
    markers: tuple[Marker, ...]
    health: tuple[ChannelHealth, ...]
    aside: tuple[str, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """What a view with regression takes out of the electrodes."""
        return reference_electrodes((*self.electrodes, *self.aside))

    def columns(self, electrodes: Sequence[str]) -> IndexArray:
        """Columns of some electrodes, in their order."""
        own = {name: i for i, name in enumerate(self.electrodes)}
        return np.array([own[e] for e in electrodes], dtype=np.int64)

    def window(self, view: str, token: int, n_rows: int, columns: IndexArray) -> FloatArray:
        """Rows of a view that end at a token, shape (n_rows, n_bands, n_columns).

        Fewer where its segment does not hold so many.
        """
        stop = int(self.token_stop[token])
        start = max(int(self.token_begin[token]), stop - n_rows)
        return self.signals[view][start:stop][:, :, columns]


@dataclass
class _Collected:
    """What :class:`_Collector` has seen; blocks by what the shared views are made of."""

    rows: int = 0
    begin: int = 0
    blocks: dict[ViewConfig, list[FloatArray]] = field(default_factory=dict)
    stops: list[int] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    good: list[BoolArray] = field(default_factory=list)


class _Collector:
    """Stands where the decoder stands, and keeps what a decoder would get."""

    name = "collector"
    classes = ("none",)
    calibrated = False
    window_s = 0.0

    def __init__(
        self,
        info: StreamInfo,
        rate: float,
        views: Mapping[ViewConfig, ViewConfig],
        learned: Learned | None = None,
    ) -> None:
        every, stream = range(len(info.eeg)), info.decoder_channels
        self._views = {k: CausalView(every, rate, v, stream, learned) for k, v in views.items()}
        self.seen = _Collected(blocks={kind: [] for kind in views})
        self._nothing = np.full(1, np.nan)

    def reset(self) -> None:
        for view in self._views.values():
            view.reset()
        self.seen.begin = self.seen.rows

    def push(self, block: FloatArray) -> None:
        for kind, view in self._views.items():
            self.seen.blocks[kind].append(view.push(block))
        self.seen.rows += len(block)

    def decode(self, good: BoolArray) -> tuple[npt.NDArray[np.float64], str]:
        self.seen.stops.append(self.seen.rows)
        self.seen.begins.append(self.seen.begin)
        self.seen.good.append(good.copy())
        return self._nothing, "collecting"


class _NoModel:
    """The forecaster of a pipeline that forecasts nothing."""

    name = identity = published = "none"
    n_horizons = 1
    classes: tuple[str, ...] = ()

    device = "cpu"

    def reset(self, electrodes: BoolArray | None = None) -> None:
        """Nothing to forget."""

    def ingest(self, tick: Tick) -> None:
        """Nothing to keep."""

    def decode(self) -> tuple[npt.NDArray[np.float64], str]:
        return np.zeros(0), "no model"

    def forecast(self) -> dict[str, FloatArray]:
        return {}


def open_source(path: Path, clock: Clock, montage: str | None = None) -> Source:
    """Make the source that reads a recording as fast as possible: ours, or any known file."""
    from rtbci.playback import file_source

    return file_source(path, speed="max", montage=montage, clock=clock)


@dataclass(frozen=True)
class Step:
    """Rows of a recording and what the pipeline made of them."""

    chunk: Chunk
    results: list[Result]


def play(
    path: Path,
    make: Callable[[StreamInfo], Decoder],
    config: SessionConfig,
    montage: str | None = None,
) -> Iterator[Step]:
    """Run a recording through the pipeline, with a decoder and without a forecaster.

    Parameters
    ----------
    path : Path
        A recording of ours or any file that can be replayed.
    make : callable
        Given the stream with its channels named, makes the decoder.
    config : SessionConfig
    montage : str | None
        As ``--montage`` takes it.

    Raises
    ------
    BadInputError
        Where the file is missing or foreign, the montage does not fit, or there is no EEG.
    """
    clock = ManualClock()
    source = open_source(path, clock, montage)
    try:
        info = source.open()
        require_eeg(info)
        pipeline = Pipeline(info, config, _NoModel(), make(info), skip=lambda *_: True)
        line = Acquisition(
            source, info, config.timeline, clock, watch=False, notice=lambda _, __: None
        )
        while not line.ended:
            chunk = line.step()
            if chunk is not None:
                yield Step(chunk, pipeline.push(chunk))
    finally:
        source.close()


def _shared(views: Mapping[str, ViewConfig]) -> dict[ViewConfig, ViewConfig]:
    """Views that together hold every band of the wanted ones once, by what their signal is made of.

    Window and reference are no part of a view's signal, so views that differ in these and in
    their bands are filtered, and above all regressed, together.
    """
    made: dict[ViewConfig, ViewConfig] = {}
    for view in views.values():
        kind = _kind(view)
        before = made[kind].bands_hz if kind in made else ()
        made[kind] = replace(kind, bands_hz=tuple(dict.fromkeys((*before, *view.bands_hz))))
    return made


def _kind(view: ViewConfig) -> ViewConfig:
    """What of a view makes its signal, but for the bands."""
    usual = ViewConfig()
    return replace(
        view, bands_hz=usual.bands_hz, window_s=usual.window_s, reference=usual.reference
    )


def _bands(signal: FloatArray, whole: ViewConfig, view: ViewConfig) -> FloatArray:
    """A view's bands of the signal that it shares with others; no copy where they are in a row."""
    at = [whole.bands_hz.index(band) for band in view.bands_hz]
    if at == list(range(at[0], at[0] + len(at))):
        return signal[:, at[0] : at[0] + len(at)]
    return signal[:, at]


def follow(
    path: Path,
    views: Mapping[str, ViewConfig],
    config: SessionConfig,
    montage: str | None = None,
    learned: Learned | None = None,
) -> Track:
    """Keep what several decoders would see of a recording, in one pass.

    Parameters
    ----------
    views : mapping of str to ViewConfig
        What is wanted, by name.
    path, config, montage
        As in :func:`play`.
    learned : Learned | None
        What a signal check showed: the regression begins with it.

    Raises
    ------
    BadInputError
        As :func:`play`.
    """
    made: list[tuple[StreamInfo, _Collector]] = []
    shared = _shared(views)

    def collector(info: StreamInfo) -> _Collector:
        rate = config.preprocess.rate_hz
        made.append((info, _Collector(info, rate, shared, learned)))
        return made[0][1]

    times: list[float] = []
    markers: list[Marker] = []
    health: list[ChannelHealth] = []
    for step in play(path, collector, config, montage):
        markers.extend(step.chunk.markers)
        times.extend(r.time for r in step.results if isinstance(r, Decode))
        health.extend(r for r in step.results if isinstance(r, ChannelHealth))
    info, seen = made[0][0], made[0][1].seen
    n = len(info.eeg)
    whole = {
        kind: np.concatenate([np.zeros((0, len(view.bands_hz), n), np.float32), *seen.blocks[kind]])
        for kind, view in shared.items()
    }
    return Track(
        path=path,
        rate=info.rate,
        electrodes=info.electrodes,
        aside=info.decoder_channels[n:],
        signals={
            name: _bands(whole[_kind(view)], shared[_kind(view)], view)
            for name, view in views.items()
        },
        token_stop=np.array(seen.stops, dtype=np.int64),
        token_begin=np.array(seen.begins, dtype=np.int64),
        token_time=np.array(times, dtype=np.float64),
        token_good=np.array(seen.good, dtype=np.bool_).reshape(len(seen.good), n),
        markers=tuple(markers),
        health=tuple(health),
    )
