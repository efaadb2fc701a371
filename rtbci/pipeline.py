"""The middle of rtbci: recorded rows in, forecasts and decodes out.

    Chunk -> bridge or new segment -> causal filters, 250 Hz, EMA -> ring -> token every hop
                                                                        |
                markers, health (good electrodes) ---------------> Tick -> decoder -> Decode
                                                                        +--> model ---> Forecast

Owns no thread, reads no clock, opens nothing.  Rows are fed to the filters exactly up to the
row that completes the next token, and every stage behind the ring works in blocks of one hop:
so results do not depend, in a single bit, on how the rows were cut into chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from rtbci.commands import Steer
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.health import HealthMonitor
from rtbci.preprocess import Preprocessed, Preprocessor, bridge_rows
from rtbci.ring import MirrorRing
from rtbci.skill import SkillTracker
from rtbci.steering import Steering
from rtbci.tick import Answer, Decoder, Model, Moment, OnlineDecoder, Tick
from rtbci.types import (
    BoolArray,
    Chunk,
    Decode,
    FloatArray,
    Forecast,
    Gap,
    Marker,
    Result,
    StreamInfo,
    TimeArray,
)

Emit = Callable[[Result], None]
Skip = Callable[[int, int], bool]
"""Given a token and the row that completed it: whether its forecast is left out."""
Watch = Callable[[FloatArray, TimeArray, bool], None]
"""Shown the signal as the model sees it: rows of shape (n, n_electrodes) in µV, their times, and
whether a segment begins with the first."""


@dataclass
class SegmentState:
    """Where the running segment stands; a new one starts from zeros.

    Attributes
    ----------
    fed : int
        Rows fed to the filters, bridged ones included.
    produced : int
        Rows that came out at the model's rate.
    index : int
        Tokens so far.
    ticks : int
        Hops completed, those before the first full window included.
    """

    fed: int = 0
    produced: int = 0
    index: int = 0
    ticks: int = 0


@dataclass
class SessionState:
    """Counts of the whole session.

    Attributes
    ----------
    rows, token, forecasts, skipped, decodes, segments : int
        Rows taken, tokens ingested, forecasts made and skipped, valid decodes, segments begun.
    bridged : int
        Rows made up for short gaps.
    first_time : float | None
        Time of the session's first row.
    last_row : ndarray | None
        Newest row, for bridging.
    markers : list of (int, Marker)
        Those that no token has seen yet, each with the row from which on it is known, in order.
    """

    rows: int = 0
    token: int = 0
    forecasts: int = 0
    skipped: int = 0
    decodes: int = 0
    segments: int = 0
    bridged: int = 0
    first_time: float | None = None
    last_time: float = 0.0
    last_row: FloatArray | None = None
    markers: list[tuple[int, Marker]] = field(default_factory=list)

    def learn(self, chunk: Chunk) -> None:
        """Take a chunk's markers: each is known from its row on, a late one from the chunk's."""
        for marker in chunk.markers:
            late = marker.sample is None or marker.sample < chunk.start
            self.markers.append((chunk.start if late else marker.sample or 0, marker))
        self.markers.sort(key=itemgetter(0))

    def known_by(self, sample: int) -> tuple[Marker, ...]:
        """Hand out the markers that are known once row ``sample`` has come."""
        due = sum(row <= sample for row, _ in self.markers)
        known = tuple(marker for _, marker in self.markers[:due])
        del self.markers[:due]
        return known


def require_eeg(info: StreamInfo) -> None:
    """Refuse a stream without EEG.

    Raises
    ------
    BadInputError
        With the channels that are there and the remedy.
    """
    if not info.eeg:
        there = ", ".join(f"{c.name} ({c.type.value})" for c in info.channels[:8])
        raise BadInputError(
            f"{info.name} has no EEG channel (it has {there or 'no channel at all'}), so there is "
            "nothing to forecast or decode; name its electrodes with --montage."
        )


def _never(_token: int, _sample: int) -> bool:
    return False


class _OwnHead:
    """Who decodes where no subject's decoder does: the model's own head."""

    calibrated = False

    def __init__(self, model: Model) -> None:
        self.classes = model.classes
        self.name = f"{model.name}, uncalibrated"


class Pipeline:
    """Composes preprocessing, tokens, model and decoder.

    Parameters
    ----------
    info : StreamInfo
        The stream whose rows will be pushed.
    config : SessionConfig
    model : Model
        Forecaster; its own decode head is used where there is no ``decoder``.
    decoder : Decoder | None
        A subject's decoder.
    skip : callable
        Asked before each forecast whether to leave it out because it would come too late.  A
        replay answers from the recording.
    warm_up_s : float
        Forecasts of this first part of a session are not scored.

    Attributes
    ----------
    watch : callable | None
        Called with each block of the preprocessed signal; it must not keep or change it.

    Raises
    ------
    BadInputError
        Where the stream has no EEG channel.
    """

    def __init__(
        self,
        info: StreamInfo,
        config: SessionConfig,
        model: Model,
        decoder: Decoder | None = None,
        *,
        skip: Skip = _never,
        warm_up_s: float = 60.0,
    ) -> None:
        require_eeg(info)
        self.info = info
        self.config = config
        self.model = model
        self.decoder = decoder
        self._skip = skip
        self._warm_up_s = warm_up_s
        rate = config.preprocess.rate_hz
        self._rate = rate
        self._hop = round(config.token.hop_s * rate)
        self._window = round(config.token.window_s * rate)
        n = len(info.eeg)
        self._n = n
        self._columns = np.array(info.eeg + info.aside, dtype=np.intp)
        self._preprocess = Preprocessor(info.rate, n, config.preprocess, names=info.electrodes)
        # EOG and EMG go through the same filters, but for the reference of the scalp.
        plain = replace(config.preprocess, reference="none")
        self._beside = Preprocessor(info.rate, len(info.aside), plain) if info.aside else None
        self._aside = MirrorRing(2 * self._hop, len(info.aside))
        self._all_aside = np.ones(len(info.aside), dtype=np.bool_)
        self._health = HealthMonitor(info, config.health)
        self._ring = MirrorRing(round(config.token.history_s * rate), n)
        self._times = MirrorRing(max(8, round(2 * info.rate)), 1, dtype=np.float64)
        self._skill = SkillTracker(rate, model.n_horizons, n, self._hop)
        self._own_head = _OwnHead(model)
        self._steering = Steering(self._health, info.electrodes, decoder, config.decode.threshold)
        self.watch: Watch | None = None
        self._good: BoolArray = np.ones(n, dtype=np.bool_)
        self._mean = np.zeros(n, dtype=np.float32)
        self._scale = np.ones(n, dtype=np.float32)
        self.segment = SegmentState()
        self.state = SessionState()

    @property
    def good(self) -> BoolArray:
        """Electrodes in use now, shape (n_electrodes,)."""
        return self._good

    @property
    def scale(self) -> FloatArray:
        """Running standard deviation of each electrode, shape (n_electrodes,), µV."""
        return self._scale

    @property
    def skill(self) -> SkillTracker:
        """Forecast skill so far."""
        return self._skill

    @property
    def rows_per_hop(self) -> float:
        """Rows of the source from a token to the next (not always a whole number)."""
        return self._hop * self.info.rate / self._rate

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the decodes; empty where nothing decodes."""
        return self.decoder.classes if self.decoder else self.model.classes

    @property
    def decodes_by(self) -> str:
        """Which decoder and of whom; empty where nothing decodes."""
        return (self.decoder or self._own_head).name if self.classes else ""

    @property
    def calibrated(self) -> bool:
        """Whether the decoder was fitted on this subject."""
        return bool(self.classes) and (self.decoder or self._own_head).calibrated

    @property
    def decoder_window_s(self) -> float:
        """How far back a decode looks, seconds."""
        return self.decoder.window_s if self.decoder else self.config.token.window_s

    @property
    def delay_s(self) -> float:
        """Delay of the resampler, which token times already have taken off."""
        return self._preprocess.delay_s

    def steer(self, sample: int, steer: Steer) -> None:
        """Change something from the first token on that row ``sample``, or one behind, completes.

        A change must be given before that row is pushed; the pipeline then does the same however
        rows come in chunks.

        Raises
        ------
        BadInputError
            Where it can't be done here; nothing changes.
        """
        self._steering.add(sample, steer)

    def push(self, chunk: Chunk, emit: Emit | None = None) -> list[Result]:
        """Take rows of the session; give what they completed, in order.

        Parameters
        ----------
        chunk : Chunk
            The rows after those of the last call.
        emit : callable, optional
            Called with each result as soon as it exists (a decode before its token's forecast).
        """
        results: list[Result] = []

        def out(result: Result) -> None:
            results.append(result)
            if emit is not None:
                emit(result)

        self.state.learn(chunk)
        rows = np.ascontiguousarray(chunk.data[:, self._columns])
        at = 0
        for gap in chunk.gaps:
            before = gap.sample - chunk.start
            self._feed(rows[at:before], chunk.times[at:before], chunk.start + at, out)
            self._cross(gap, rows[before], chunk.times[before], out)
            at = before
        self._feed(rows[at:], chunk.times[at:], chunk.start + at, out)
        return results

    def _cross(self, gap: Gap, first: FloatArray, time: float, out: Emit) -> None:
        """Bridge a gap, or begin a new segment behind it."""
        last = self.state.last_row
        if not gap.bridged or last is None:
            self._begin_segment()
            return
        if gap.missing <= 0:
            return
        made = bridge_rows(last, first, gap.missing)
        step = (time - self.state.last_time) / (gap.missing + 1)
        times: TimeArray = self.state.last_time + step * np.arange(1.0, gap.missing + 1)
        self.state.bridged += gap.missing
        self._feed(made, times, gap.sample, out, real=False)

    def _begin_segment(self) -> None:
        """Forget filters, rings and caches; tokens are counted on."""
        self._preprocess.reset()
        if self._beside is not None:
            self._beside.reset()
        self._aside.reset()
        self._health.reset()
        self._ring.reset()
        self._times.reset()
        self._skill.reset()
        self.model.reset()
        if self.decoder is not None:
            self.decoder.reset()
        self.segment = SegmentState()

    def _feed(
        self, rows: FloatArray, times: TimeArray, start: int, out: Emit, *, real: bool = True
    ) -> None:
        """Feed rows up to the one that completes the next token, again and again."""
        state, at = self.state, 0
        while at < len(rows):
            if self.segment.fed == 0:
                state.segments += 1
            if state.first_time is None:
                state.first_time = float(times[0])
            due = self._preprocess.ready((self.segment.ticks + 1) * self._hop - 1)
            take = min(len(rows) - at, max(1, due - self.segment.fed))
            block = rows[at : at + take, : self._n]
            made = self._preprocess.push(block, self._good)
            aside = self._push_aside(rows[at : at + take, self._n :], len(made.signal))
            self._times.write(times[at : at + take, None])
            self._health.push(block, made.filtered)
            self.segment.fed += take
            state.rows += take if real else 0
            at += take
            # NB: where the rate goes up, the row that completes a hop can complete the first
            # output row of the next one, too; the tick must not see it.
            whole = (self.segment.ticks + 1) * self._hop - self.segment.produced
            self._write(made, aside, 0, min(whole, len(made.signal)))
            if self.segment.fed >= due:
                self.segment.ticks += 1
                self._tick(start + at - 1 if real else start, out)
                self._write(made, aside, whole, len(made.signal))
        if len(rows):
            state.last_row = rows[-1].copy()
            state.last_time = float(times[-1])

    def _push_aside(self, rows: FloatArray, made: int) -> FloatArray:
        """Filter the rows of EOG and EMG; as many come out as of the electrodes."""
        if self._beside is None:
            return np.zeros((made, 0), dtype=np.float32)
        return self._beside.push(rows, self._all_aside).signal

    def _write(self, made: Preprocessed, aside: FloatArray, first: int, stop: int) -> None:
        """Take rows ``first`` to ``stop`` of what the preprocessing made."""
        if stop <= first:
            return
        self._ring.write(made.signal[first:stop])
        self._aside.write(aside[first:stop])
        if self.watch is not None:
            times = self._times_of(self.segment.produced, stop - first)
            self.watch(made.signal[first:stop], times, self.segment.produced == 0)
        self._mean, self._scale = made.mean[stop - 1], made.scale[stop - 1]
        self.segment.produced += stop - first

    def _token_time(self) -> float:
        """Time of the newest preprocessed row, between the two input rows that it lies between."""
        position = self._preprocess.source_position(self.segment.produced - 1)
        behind = self.segment.fed - 1 - position
        known = self._times.view(self._times.size)[:, 0]
        low = len(known) - 1 - int(np.ceil(behind))
        low = max(0, min(low, len(known) - 1))
        high = min(low + 1, len(known) - 1)
        fraction = float(np.ceil(behind) - behind)
        return float(known[low] + fraction * (known[high] - known[low]))

    def _times_of(self, first: int, n: int) -> TimeArray:
        """Times of ``n`` preprocessed rows from ``first`` on; for show, within a rounding."""
        position = [self._preprocess.source_position(first + i) for i in range(n)]
        known = self._times.view(self._times.size)[:, 0]
        rows = np.arange(len(known)) + self.segment.fed - len(known)
        times: TimeArray = np.interp(position, rows, known)
        return times

    def _tick(self, sample: int, out: Emit) -> None:
        """One hop is complete: judge the channels, step decoder and model, give their results."""
        self._steering.apply(sample)
        good, changes = self._health.judge(sample)
        returned = good & ~self._good
        self._good = good
        for change in changes:
            out(change)
        if self.decoder is not None:
            electrodes, aside = self._ring.view(self._hop), self._aside.view(self._hop)
            self.decoder.push(np.hstack((electrodes, aside)) if aside.size else electrodes)
        if self._ring.size < self._window:
            return
        if returned.any():
            self.model.reset(returned)
        history = self._ring.view(self._ring.size)
        token = self.state.token
        tick = Tick(token, self.segment.index, history, self._mean, self._scale, good)
        time = self._token_time()
        if self.decoder is not None:  # it does not wait for the model
            moment = Moment(token, sample, time, self.state.known_by(sample))
            self._decoded(self.decoder, self._ask(self.decoder, good, moment), moment, out)
        self._skill.observe(token, history, good)
        self.model.ingest(tick)
        self.state.token += 1
        self.segment.index += 1
        if self.decoder is None and self.model.classes:
            answer = self._by_threshold(self.model.classes, *self.model.decode())
            self._decoded(self._own_head, answer, Moment(token, sample, time, ()), out)
        if self._skip(token, sample):
            self.state.skipped += 1
            return
        self._forecast(tick, sample, time, out)

    def _ask(self, decoder: Decoder, good: BoolArray, moment: Moment) -> Answer:
        """Ask a decoder: one that decides by itself, or one that only knows probabilities."""
        if isinstance(decoder, OnlineDecoder):
            return decoder.answer(good, moment)
        return self._by_threshold(decoder.classes, *decoder.decode(good))

    def _by_threshold(
        self, classes: tuple[str, ...], p: npt.NDArray[np.float64], reason: str
    ) -> Answer:
        """Decide by the newest probabilities alone."""
        decision = None
        if not reason:
            top = int(np.argmax(p))
            decision = classes[top] if p[top] >= self._steering.state.threshold else None
        return Answer(p, reason, decision, (), None, ())

    def _decoded(self, by: Decoder | _OwnHead, answer: Answer, moment: Moment, out: Emit) -> None:
        for change in answer.changes:
            out(change)
        self.state.decodes += not answer.reason
        out(
            Decode(
                moment.token,
                moment.sample,
                moment.time,
                by.classes,
                answer.p,
                answer.decision,
                answer.reason,
                by.name,
                by.calibrated,
                answer.evidence,
                answer.thresholds,
                answer.flags,
            )
        )

    def _forecast(self, tick: Tick, sample: int, time: float, out: Emit) -> None:
        made = self.model.forecast()
        published = made[self.model.published]
        self.state.forecasts += 1
        scored = {k: v for k, v in made.items() if k in ("ar", "ridge")}
        if self.model.published != "ar":
            scored["model"] = published
        scored["persistence"] = np.broadcast_to(tick.history[-1], published.shape).copy()
        if self.state.first_time is not None and time - self.state.first_time >= self._warm_up_s:
            self._skill.expect(tick.token, scored, tick.good)
        out(Forecast(tick.token, sample, time, self._rate, published, self.model.published))
