"""A straight line through what is known of sample times: one point a read, old ones forgotten.

Time is regressed on the sample number by recursive least squares with exponential forgetting
(Ljung, System Identification, 2nd ed., section 11.2).  Host receive times only ever err on the
late side, by up to a USB batch, so for them the line is then lowered onto the earliest points
of the last seconds: times on it are never ahead of what was received.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MEMORY_S = 30.0
"""Forgetting: a point's weight falls to 1/e."""
ENVELOPE_S = 16
"""Seconds over which the earliest points are kept, one for each second."""
NOISE_S = 0.005
"""Typical error of one point."""
PHASE_S = 0.02
"""Uncertainty of a line that was just anchored."""
PERIOD_SHARE = 0.005
"""Crystals and nominal rates are within this of each other (measured: 0.02 to 0.5 %)."""
GATE_S = 0.1
"""A point so far off the line is a stall or a stray stamp and does not move it."""
STUCK_S = 5.0
"""After so long without an acceptable point the line itself is taken to be wrong."""
SPREAD_GAIN = 0.02
"""Share of a new point in the running spread."""
MARGIN_S = 0.02
"""A first receive time is taken to be late by so much: a USB batch."""


@dataclass
class LineState:
    """The line and how sure it is.

    Attributes
    ----------
    n : float
        Sample number where the line stands.
    t : float
        Time there, s.
    period : float
        Seconds a sample.
    p00, p01, p11 : float
        Covariance of ``t`` and ``period``.
    low : float
        From the line down (or up) to the earliest points, s.
    spread : float
        Running root mean square distance of new points from the line, s.
    accepted : float
        Time of the last point that moved the line.
    points : list of (second, n, t)
        The earliest point of each of the last seconds.
    """

    period: float
    n: float = 0.0
    t: float = 0.0
    p00: float = PHASE_S**2
    p01: float = 0.0
    p11: float = 0.0
    low: float = 0.0
    spread: float = PHASE_S
    accepted: float = 0.0
    points: list[tuple[int, float, float]] = field(default_factory=list)

    def reset(self, n: float, t: float) -> None:
        """Anchor the line at a point; the period and its certainty stay."""
        self.n, self.t, self.low = n, t, 0.0
        self.p00, self.p01 = PHASE_S**2, 0.0
        self.accepted = t
        self.points.clear()


class ClockFit:
    """Regresses sample times on sample numbers.

    Parameters
    ----------
    rate : float
        Nominal, Hz.
    late_only : bool
        True for receive times, which err on the late side only; False for a sender's stamps,
        which scatter to both sides.
    """

    def __init__(self, rate: float, *, late_only: bool) -> None:
        self._late_only = late_only
        period = 1.0 / rate
        self._limit = (PERIOD_SHARE * period) ** 2
        self.state = LineState(period, p11=self._limit)

    @property
    def period(self) -> float:
        """Seconds a sample, as estimated so far."""
        return self.state.period

    def anchor(self, n: int, t: float) -> None:
        """Put the line through a point (the first one, or the first after a break)."""
        self.state.reset(n, t - MARGIN_S if self._late_only else t)

    def predict(self, n: float) -> float:
        """Time of a sample number."""
        state = self.state
        return state.t + (n - state.n) * state.period + state.low

    def update(self, n: float, t: float) -> None:
        """Take a point: sample ``n`` was received (or stamped) at ``t``."""
        state = self.state
        off = t - self.predict(n)
        if abs(off) > GATE_S:
            if (self._late_only and off < 0) or t - state.accepted > STUCK_S:
                self.anchor(int(n), t)
            return
        self._move(n, t)
        state.accepted = t
        state.spread = math.sqrt(state.spread**2 + SPREAD_GAIN * (off**2 - state.spread**2))
        if self._late_only:
            self._lower(n, t)

    def _move(self, n: float, t: float) -> None:
        """One step of recursive least squares, with the origin moved to ``n``."""
        s = self.state
        dn = n - s.n
        forget = math.exp(abs(dn) * s.period / MEMORY_S)
        s.n, s.t = n, s.t + dn * s.period
        s.p00 = min((s.p00 + 2 * dn * s.p01 + dn * dn * s.p11) * forget, PHASE_S**2)
        s.p01 = (s.p01 + dn * s.p11) * forget
        s.p11 = min(s.p11 * forget, self._limit)
        bound = 0.999 * math.sqrt(s.p00 * s.p11)
        s.p01 = max(-bound, min(bound, s.p01))
        total = s.p00 + NOISE_S**2
        k0, k1 = s.p00 / total, s.p01 / total
        error = t - s.t
        s.t += k0 * error
        s.period += k1 * error
        s.p11 -= k1 * s.p01
        s.p01 -= k0 * s.p01
        s.p00 -= k0 * s.p00

    def _lower(self, n: float, t: float) -> None:
        """Keep the earliest point of each second, and lower the line onto the earliest of all."""
        s = self.state
        second = math.floor(t)
        points = s.points
        if points and points[-1][0] == second:
            _, other_n, other_t = points[-1]
            if t - n * s.period < other_t - other_n * s.period:
                points[-1] = (second, n, t)
        else:
            points.append((second, n, t))
        while points[0][0] <= second - ENVELOPE_S:
            points.pop(0)
        s.low = min(pt - (s.t + (pn - s.n) * s.period) for _, pn, pt in points)
