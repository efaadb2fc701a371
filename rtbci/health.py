"""Channels that can't be used: not a number, railed, flat or noisy; judged once a hop.

The verdict is a function of the rows of the last ``window_s`` at the hop's last row, so a replay
gives it again.  A channel is left out at once, and taken back after it has been good for
``recover_s``.

Concurrency: none; the thread that pushes the pipeline owns it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtbci.config import HealthConfig
from rtbci.errors import BadInputError
from rtbci.filters import LIMIT_UV
from rtbci.ring import MirrorRing
from rtbci.types import BoolArray, ChannelHealth, FloatArray, StreamInfo

FULL_SCALE_SHARE = 0.99
"""From this share of the amplifier's full scale on a sample is railed."""
RUN = 3
"""Where the full scale is unknown: so many equal samples in a row, at an extreme, are clipped."""
BY_HAND = "switched off by hand"
"""Reason of a channel that nobody judges until it is taken back."""
LEAST_SHARE = 0.25
"""A channel is judged from this share of a window on; before that its old verdict stands."""


@dataclass
class HealthState:
    """What :class:`HealthMonitor` knows.

    Attributes
    ----------
    raw, filtered : MirrorRing
        The last ``window_s`` of the signal.
    rows : int
        Rows pushed since the monitor was made.
    reasons : list of str, n_electrodes long
        Why each electrode is left out; empty for the good ones.
    bad_at : ndarray, shape (n_electrodes,), int64
        ``rows`` when each electrode was last found bad.
    by_hand : set of int
        Electrodes that were left out by hand; a new segment does not change that.
    """

    raw: MirrorRing
    filtered: MirrorRing
    rows: int = 0
    reasons: list[str] = field(default_factory=list)
    bad_at: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    by_hand: set[int] = field(default_factory=set)

    def reset(self) -> None:
        """Begin a segment: the signal is forgotten, the verdicts stand until it is judged."""
        self.raw.reset()
        self.filtered.reset()


class HealthMonitor:
    """Watches the EEG channels of a stream.

    Parameters
    ----------
    info : StreamInfo
    config : HealthConfig

    Raises
    ------
    BadInputError
        Where a limit makes no sense, or the window is shorter than two samples.
    """

    def __init__(self, info: StreamInfo, config: HealthConfig) -> None:
        _check(config)
        self.config = config
        n = len(info.eeg)
        window = round(config.window_s * info.rate)
        if window < 2:
            raise BadInputError(
                f"health.window_s is {config.window_s} s, which is {window} samples at "
                f"{info.rate:g} Hz; a channel is judged on two at least."
            )
        self._names = info.electrodes
        self._least = max(2, round(LEAST_SHARE * window))
        self._recover = round(config.recover_s * info.rate)
        scales = [info.channels[i].full_scale for i in info.eeg]
        self._full_scale = np.array([np.nan if s is None else s for s in scales], dtype=float)
        self.state = HealthState(
            MirrorRing(window, n),
            MirrorRing(window, n),
            reasons=[""] * n,
            bad_at=np.zeros(n, dtype=np.int64),
        )

    @property
    def good(self) -> BoolArray:
        """Electrodes in use, shape (n_electrodes,)."""
        return np.array([not reason for reason in self.state.reasons], dtype=np.bool_)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each electrode is left out; empty for those in use."""
        return tuple(self.state.reasons)

    def reset(self) -> None:
        """Begin a segment: forget the signal; what was bad stays out until it is judged good."""
        self.state.reset()

    def leave_out(self, channel: str) -> None:
        """Leave an electrode out from the next judgement on, whatever its signal is like."""
        self.state.by_hand.add(self._names.index(channel))

    def take_back(self, channel: str) -> None:
        """End that: from the next judgement on its signal alone decides."""
        self.state.by_hand.discard(self._names.index(channel))

    def push(self, raw: FloatArray, filtered: FloatArray) -> None:
        """Take rows.

        Parameters
        ----------
        raw : ndarray, shape (n, n_electrodes), float32, µV
            As recorded.
        filtered : ndarray, shape (n, n_electrodes), float32, µV
            The same rows behind the causal filters, before any reference
            (``Preprocessed.filtered``).
        """
        self.state.raw.write(raw)
        self.state.filtered.write(filtered)
        self.state.rows += len(raw)

    def judge(self, sample: int) -> tuple[BoolArray, list[ChannelHealth]]:
        """Judge every channel on the rows so far; call it once a hop.

        Parameters
        ----------
        sample : int
            Newest row of the session, for the changes.

        Returns
        -------
        good : ndarray, shape (n_electrodes,), bool
        changes : list of ChannelHealth
            Channels that are left out or taken back from here on.
        """
        state = self.state
        changes = self._switch(sample)
        if state.raw.size < self._least:
            return self.good, changes
        for i, reason in enumerate(self._verdicts()):
            if i in state.by_hand:
                continue
            if reason:
                state.bad_at[i] = state.rows
                if not state.reasons[i]:
                    changes.append(ChannelHealth(sample, self._names[i], reason))
                state.reasons[i] = reason
            elif state.reasons[i] and state.rows - state.bad_at[i] >= self._recover:
                changes.append(ChannelHealth(sample, self._names[i], ""))
                state.reasons[i] = ""
        return self.good, changes

    def _switch(self, sample: int) -> list[ChannelHealth]:
        """Do what was asked by hand; who is taken back need not recover from having been out."""
        state, changes = self.state, []
        for i, reason in enumerate(state.reasons):
            if (i in state.by_hand) == (reason == BY_HAND):
                continue
            state.reasons[i] = BY_HAND if i in state.by_hand else ""
            changes.append(ChannelHealth(sample, self._names[i], state.reasons[i]))
        return changes

    def _verdicts(self) -> list[str]:
        """Judge what the rings hold: the reason for each electrode, empty where it is good."""
        config, state = self.config, self.state
        raw = state.raw.view(state.raw.size)
        foreign = ~(np.abs(raw) <= LIMIT_UV)
        unknown = np.count_nonzero(foreign, axis=0)
        if unknown.any():
            raw = np.where(foreign, np.float32(0.0), raw)
        high, low = raw.max(axis=0), raw.min(axis=0)
        span = high.astype(np.float64) - low
        railed = self._railed(raw, high, low)
        filtered = state.filtered.view(state.filtered.size)
        sd = filtered.std(axis=0, dtype=np.float64) if len(filtered) else np.zeros(len(span))
        reasons = []
        for i in range(len(span)):
            if unknown[i]:
                samples = "sample" if unknown[i] == 1 else "samples"
                reasons.append(f"not a number: {unknown[i]} {samples}")
            elif railed[i] >= config.railed_share and (
                span[i] >= config.flat_uv or np.isfinite(self._full_scale[i])
            ):
                reasons.append(f"railed: {100 * railed[i]:.0f} % at full scale")
            elif span[i] < config.flat_uv:
                reasons.append(f"flat: {span[i]:.1f} µV")
            elif sd[i] > config.noisy_uv:
                reasons.append(f"noisy: {sd[i]:.0f} µV")
            else:
                reasons.append("")
        return reasons

    def _railed(
        self, raw: FloatArray, high: FloatArray, low: FloatArray
    ) -> npt.NDArray[np.float64]:
        """Share of each channel's samples at full scale, shape (n_electrodes,).

        Where the full scale is unknown, samples count that lie in a run of ``RUN`` equal ones at
        the window's highest or lowest value.
        """
        known: npt.NDArray[np.float64] = np.mean(
            np.abs(raw) >= FULL_SCALE_SHARE * self._full_scale, axis=0
        )
        if np.isfinite(self._full_scale).all() or len(raw) < RUN:
            return known
        extreme = (raw == high) | (raw == low)
        same = (raw[1:] == raw[:-1]) & extreme[1:]
        run = same[1:] & same[:-1]  # ends a run of at least three
        inside = np.zeros_like(extreme)
        for k in range(RUN):
            inside[k : len(raw) - RUN + 1 + k] |= run
        guessed: npt.NDArray[np.float64] = inside.mean(axis=0)
        return np.where(np.isfinite(self._full_scale), known, guessed)


def _check(config: HealthConfig) -> None:
    """Refuse limits with which every channel would be left out, or none ever."""
    for name in ("window_s", "noisy_uv"):
        if not 0 < getattr(config, name) < math.inf:
            raise BadInputError(f"health.{name} must be above 0, got {getattr(config, name)}.")
    for name in ("flat_uv", "recover_s"):
        if not 0 <= getattr(config, name) < math.inf:
            raise BadInputError(f"health.{name} must be 0 or more, got {getattr(config, name)}.")
    if not 0 < config.railed_share <= 1:
        raise BadInputError(
            f"health.railed_share is a share of the samples, above 0 and up to 1; got "
            f"{config.railed_share}."
        )
