"""The signal of the simulator: seeded, stateful, made in blocks of fixed size.

    white -> pole-zero cascade (1/f) -> spatial mixing ------------------------+
    white -> AR(2) at 10 Hz  -> occipital topographies (alpha) x gain(state) --+
    white -> AR(2) at 11, 21 Hz -> per motor area (mu, beta) x gain(state) ----+-> µV
    Poisson events -> blink waveform -> frontal topography --------------------+
    sine -> per-electrode amplitude and phase (line noise) --------------------+
    white -> difference -> temporal topography (jaw) x gain(state) ------------+
    gaze(state), lids(state) -> one-pole -> topographies of the eyes ----------+

Everything but gains, gaze and lids is independent of what the subject does, and is made
``BLOCK`` rows at a time, so that no value depends on how rows are asked for.  Gains, gaze and
lids are recursions over rows, combined elementwise, which is chunk-invariant bit for bit as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter, sosfilt

from rtbci.montage import directions

Array = npt.NDArray[np.float64]

BLOCK = 256
"""Rows made at a time."""
_WARM_UP_BLOCKS = 24
_MOTOR_AREAS = ("C3", "C4", "Cz")
_ENGAGED = {
    "rest": (0.0, 0.0, 0.0),
    "left_hand": (0.0, 1.0, 0.0),
    "right_hand": (1.0, 0.0, 0.0),
    "both_hands": (1.0, 1.0, 0.0),
    "feet": (-0.3, -0.3, 1.0),
    "both_feet": (-0.3, -0.3, 1.0),
    "tongue": (-0.5, -0.5, -0.5),
}
"""How far a state desynchronises each motor area; the hands' areas idle more during feet
imagery, and all of them during that of the tongue (Pfurtscheller & Lopes da Silva 1999,
doi:10.1016/S1388-2457(99)00141-8; Pfurtscheller et al. 2006,
doi:10.1016/j.neuroimage.2005.12.003)."""
_IDLE = (0.0, 0.0, 0.0)
DEEDS = ("eyes_closed", "blink", "look_left", "look_right", "clench")
"""What else the subject can do, as a signal check asks for it."""
STATES = (*_ENGAGED, *DEEDS)
_GAZE = {"left_hand": -1.0, "right_hand": 1.0}
_LOOK = {"look_left": -1.0, "look_right": 1.0}


@dataclass(frozen=True)
class SignalConfig:
    """Amplitudes and frequencies of the simulated EEG.

    Attributes
    ----------
    background_uv : float
        RMS of the 1/f background.
    alpha_uv, mu_uv, beta_uv : float
        RMS of each rhythm right above its source.
    alpha_hz, mu_hz, beta_hz : float
    erd : float
        Share of the mu and beta amplitude that imagery takes away, 0-1.
    erd_s : float
        Time constant with which the amplitude follows a change of state.
    blink_uv : float
        Mean height of a blink at the forehead; 0 for none.
    blink_every_s : float
        Mean time between blinks.
    line_hz : float
        Mains frequency; 0 for none.
    line_uv : float
        Mean amplitude of the line noise.
    saccade_uv : float
        Step at the outer canthi when the gaze follows a hand cue; 0 (none) by default: a
        decoder that reads it has learned the eyes.
    closed : float
        By what closed eyes multiply the amplitude of alpha.
    look_uv : float
        Step at the outer canthi when the subject is told to look to a side.
    muscle_uv : float
        RMS above the temples while the jaw is clenched.
    """

    background_uv: float = 10.0
    alpha_uv: float = 10.0
    mu_uv: float = 8.0
    beta_uv: float = 3.0
    alpha_hz: float = 10.0
    mu_hz: float = 11.0
    beta_hz: float = 21.0
    erd: float = 0.5
    erd_s: float = 0.25
    blink_uv: float = 120.0
    blink_every_s: float = 5.0
    line_hz: float = 50.0
    line_uv: float = 2.0
    saccade_uv: float = 0.0
    closed: float = 2.5
    look_uv: float = 150.0
    muscle_uv: float = 40.0


@dataclass
class SignalState:
    """What the generator carries from one block, and from one row, to the next."""

    rows: int = 0
    """Rows made so far, warm-up included."""
    pink: Array = field(default_factory=lambda: np.zeros((0, 2, 0)))
    rhythms: list[Array] = field(default_factory=list)
    blink: Array = field(default_factory=lambda: np.zeros(0))
    next_blink: float = 0.0
    """Row of the next blink."""
    gain: Array = field(default_factory=lambda: np.zeros((1, 3)))
    gaze: Array = field(default_factory=lambda: np.zeros(1))
    lids: Array = field(default_factory=lambda: np.zeros(1))
    closed: Array = field(default_factory=lambda: np.zeros(1))
    jaw: Array = field(default_factory=lambda: np.zeros(1))
    noise: Array = field(default_factory=lambda: np.zeros((1, 0)))
    """Last row of the noise that muscle is made of."""


@dataclass(frozen=True)
class SignalBlock:
    """State-independent parts of ``BLOCK`` rows, µV, each (BLOCK, n_electrodes)."""

    fixed: Array
    alpha: Array
    muscle: Array
    motor: tuple[Array, ...]
    """Mu and beta of each motor area, to be scaled by its gain."""


class SignalGenerator:
    """Makes the rows of the simulator in order.

    Parameters
    ----------
    names : sequence of str
        Electrodes; those without a standard position are spread over the scalp.
    rate : float
        Hz.
    seed : int
    config : SignalConfig
    """

    def __init__(
        self, names: tuple[str, ...], rate: float, seed: int, config: SignalConfig
    ) -> None:
        self.rate = rate
        self.config = config
        self._seed = seed
        self._n = len(names)
        xyz = _places(names)
        self._pink_sos, self._pink_scale = _pink_filter(rate)
        self._mixing = _background_mixing(xyz) * config.background_uv * self._pink_scale
        self._occipital = _topography(xyz, ("O1", "O2"), 0.55) * config.alpha_uv
        self._motor = _topography(xyz, _MOTOR_AREAS, 0.32)
        self._resonances = [
            (_resonance(hz, width, rate) if hz < 0.45 * rate else None, scale)
            for hz, width, scale in (
                (config.alpha_hz, 1.5, 1.0),
                (config.mu_hz, 1.5, config.mu_uv),
                (config.beta_hz, 3.0, config.beta_uv),
            )
        ]
        self._blink_map = _topography(xyz, ("Fpz",), 0.45)[0]
        self._blink_wave = np.hanning(max(3, round(0.3 * rate)))
        self._gaze_map = xyz[:, 0] * np.clip(xyz[:, 1] + 0.2, 0.0, None)
        jaw = _topography(xyz, ("T7", "T8"), 0.5).max(axis=0)
        self._muscle_map = jaw * (config.muscle_uv / np.sqrt(2.0))
        self._erd_pole = float(np.exp(-1.0 / (config.erd_s * rate)))
        self._gaze_pole = float(np.exp(-1.0 / (0.015 * rate)))
        self._lids_pole = float(np.exp(-1.0 / (0.05 * rate)))
        self.reset()

    def reset(self) -> None:
        """Begin again at row 0."""
        seeds = np.random.SeedSequence(self._seed).spawn(6)
        self._noise, self._alpha, self._mu, self._eyes, line, self._jaw = (
            np.random.default_rng(s) for s in seeds
        )
        self._line_amplitude = self.config.line_uv * line.uniform(0.3, 1.7, self._n)
        self._line_phase = line.uniform(-0.5, 0.5, self._n)
        self.state = SignalState(
            pink=np.zeros((len(self._pink_sos), 2, self._n)),
            rhythms=[np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((2, 3))],
            blink=np.zeros(len(self._blink_wave) - 1),
            noise=np.zeros((1, self._n)),
        )
        # The slowest filter must have settled before the first row that anybody sees.
        for _ in range(_WARM_UP_BLOCKS):
            self.block()
        self.state.next_blink = self.state.rows + self._blink_interval()

    def block(self) -> SignalBlock:
        """Make the parts of the next ``BLOCK`` rows that no state of mind changes."""
        s = self.state
        white = self._noise.standard_normal((BLOCK, self._n))
        pink, s.pink = sosfilt(self._pink_sos, white, axis=0, zi=s.pink)
        fixed = pink @ self._mixing
        alpha = self._rhythm(0, self._alpha.standard_normal((BLOCK, 2)))
        mu = self._rhythm(1, self._mu.standard_normal((BLOCK, 3)))
        mu += self._rhythm(2, self._mu.standard_normal((BLOCK, 3)))
        fixed += self._blinks()[:, None] * self._blink_map
        if 0 < self.config.line_hz < 0.5 * self.rate:
            cycles = (s.rows + np.arange(BLOCK)) * (self.config.line_hz / self.rate)
            angle = 2 * np.pi * (cycles % 1.0)[:, None] + self._line_phase
            fixed += np.sin(angle) * self._line_amplitude
        jaw = self._jaw.standard_normal((BLOCK, self._n))
        muscle = np.diff(jaw, axis=0, prepend=s.noise) * self._muscle_map
        s.noise = jaw[-1:]
        s.rows += BLOCK
        motor = tuple(mu[:, i, None] * self._motor[i] for i in range(3))
        return SignalBlock(fixed, alpha @ self._occipital, muscle, motor)

    def combine(self, block: SignalBlock, start: int, stop: int, state: str) -> Array:
        """Rows ``start:stop`` of a block as the subject makes them in one state, µV.

        Rows must be asked for in order and once: the gains are recursions over rows.
        """
        s, config = self.state, self.config
        out = block.fixed[start:stop].copy()
        engaged = np.tile(np.array(_ENGAGED.get(state, _IDLE)), (stop - start, 1))
        gains, s.gain = _one_pole(engaged, self._erd_pole, s.gain)
        for i, motor in enumerate(block.motor):
            out += motor[start:stop] * (1.0 - config.erd * gains[:, i, None])

        def level(target: float, pole: float, carried: Array) -> tuple[Array, Array]:
            values, end = _one_pole(np.full(stop - start, target), pole, carried)
            return values[:, None], end

        closed, s.closed = level(float(state == "eyes_closed"), self._erd_pole, s.closed)
        out += block.alpha[start:stop] * (1.0 + (config.closed - 1.0) * closed)
        jaw, s.jaw = level(float(state == "clench"), self._lids_pole, s.jaw)
        out += block.muscle[start:stop] * jaw
        lids, s.lids = level(float(state == "blink"), self._lids_pole, s.lids)
        out += lids * (config.blink_uv * self._blink_map)
        side = config.saccade_uv * _GAZE.get(state, 0.0) + config.look_uv * _LOOK.get(state, 0.0)
        gaze, s.gaze = level(side, self._gaze_pole, s.gaze)
        out += gaze * self._gaze_map
        return out

    def _rhythm(self, which: int, white: Array) -> Array:
        """Narrow-band noise, (BLOCK, n_sources), unit RMS times the rhythm's amplitude."""
        filt, scale = self._resonances[which]
        if filt is None:
            return np.zeros_like(white)
        b, a = filt
        out, self.state.rhythms[which] = lfilter(b, a, white, axis=0, zi=self.state.rhythms[which])
        return np.asarray(out * scale)

    def _blinks(self) -> Array:
        """Blink waveform of the next block, (BLOCK,), µV at the forehead."""
        s = self.state
        train = np.zeros(BLOCK)
        if self.config.blink_uv > 0:
            while s.next_blink < s.rows + BLOCK:
                row = int(s.next_blink) - s.rows
                if row >= 0:
                    train[row] += self.config.blink_uv * self._eyes.uniform(0.7, 1.3)
                s.next_blink += self._blink_interval()
        wave, s.blink = lfilter(self._blink_wave, [1.0], train, zi=s.blink)
        return np.asarray(wave)

    def _blink_interval(self) -> float:
        """Rows until the next blink: never at once, else without memory."""
        mean = max(self.config.blink_every_s - 1.0, 0.1)
        return float((1.0 + self._eyes.exponential(mean)) * self.rate)


def _one_pole(target: Array, pole: float, state: Array) -> tuple[Array, Array]:
    """Exponential approach to ``target`` along axis 0."""
    if len(target) == 0:
        return target, state
    out, end = lfilter([1.0 - pole], [1.0, -pole], target, axis=0, zi=state)
    return np.asarray(out), np.asarray(end)


def _pink_filter(rate: float) -> tuple[Array, float]:
    """Sections whose cascade makes white noise 1/f from 0.2 Hz up, and the scale to unit RMS.

    Poles an octave apart with zeros half an octave above each: power falls 3 dB an octave.
    """
    poles_hz = 0.2 * 2.0 ** np.arange(0, np.log2(0.4 * rate / 0.2))
    pole = np.exp(-2 * np.pi * poles_hz / rate)
    zero = np.exp(-2 * np.pi * poles_hz * np.sqrt(2.0) / rate)
    sos = np.zeros((len(pole), 6))
    sos[:, 0], sos[:, 1], sos[:, 3], sos[:, 4] = 1.0, -zero, 1.0, -pole
    impulse = np.zeros(round(20 * rate))
    impulse[0] = 1.0
    power = float(np.sum(sosfilt(sos, impulse) ** 2))
    return sos, 1.0 / np.sqrt(power)


def _resonance(hz: float, width_hz: float, rate: float) -> tuple[Array, Array]:
    """AR(2) resonator of unit output variance for white input of unit variance."""
    r, theta = np.exp(-np.pi * width_hz / rate), 2 * np.pi * hz / rate
    variance = (1 + r**2) / ((1 - r**2) * (1 - 2 * r**2 * np.cos(2 * theta) + r**4))
    return np.array([1 / np.sqrt(variance), 0, 0]), np.array([1.0, -2 * r * np.cos(theta), r**2])


def _places(names: tuple[str, ...]) -> Array:
    """Give unit vectors of electrodes; names without a position get places on a spiral."""
    xyz = directions(names)
    i = np.arange(len(names))
    height = 1.0 - 0.9 * (i + 0.5) / len(names)
    turn, radius = i * np.pi * (3 - np.sqrt(5)), np.sqrt(1 - height**2)
    spiral = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
    return np.where(np.isnan(xyz), spiral, xyz)


def _topography(xyz: Array, at: tuple[str, ...], spread: float) -> Array:
    """Gaussian weights of sources under ``at``, (n_sources, n_electrodes); 1 right above."""
    apart = np.linalg.norm(directions(at)[:, None] - xyz[None], axis=2)
    return np.asarray(np.exp(-0.5 * (apart / spread) ** 2))


def _background_mixing(xyz: Array) -> Array:
    """Matrix that gives independent noise the covariance of smooth sources, diagonal 1."""
    apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    covariance = 0.85 * np.exp(-0.5 * (apart / 0.5) ** 2) + 0.15 * np.eye(len(xyz))
    return np.asarray(np.linalg.cholesky(covariance).T)
