"""A sampling device behind a link that batches, stalls and loses rows, on a made-up clock.

Rows carry their own index in channel 0, so that a test can tell what arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.types import Channel, RawChunk, SourceClock, StreamInfo

START = 1000.0


@dataclass(frozen=True)
class Link:
    """What happens between device and host.

    Attributes
    ----------
    rate, nominal : float
        True and nominal rate, Hz.
    batch_s : float
        Length of a USB batch; rows come together at its end.
    poll_s : float
        How often the host reads.
    lost : sequence of (int, int)
        First row and number of rows that never come.
    stalls : sequence of (float, float)
        Start and end, in seconds from the first row: what falls due comes at the end.
    jitter_s : float
        Further delay of each batch, uniform.
    modulus, step : int | None, int
        Of the package counter; no counter where None.
    """

    rate: float = 250.0
    nominal: float = 250.0
    batch_s: float = 0.016
    poll_s: float = 0.006
    lost: Sequence[tuple[int, int]] = ()
    stalls: Sequence[tuple[float, float]] = ()
    jitter_s: float = 0.0
    modulus: int | None = 256
    step: int = 1
    clock: SourceClock = SourceClock.HOST

    def info(self) -> StreamInfo:
        return StreamInfo(
            "a board on a link", "brainflow", self.nominal, (Channel("C3"),), self.clock,
            self.step, self.modulus,
        )  # fmt: skip

    def true_times(self, n: int) -> npt.NDArray[np.float64]:
        """When the device sampled rows 0 to n - 1, s."""
        return START + np.arange(n) / self.rate

    def chunks(self, n: int, seed: int = 0) -> list[RawChunk]:
        """What the host reads while the device samples ``n`` rows."""
        rng = np.random.default_rng(seed)
        rows = np.arange(n)
        for first, count in self.lost:
            rows = rows[(rows < first) | (rows >= first + count)]
        sampled = self.true_times(n)[rows]
        phase = rng.uniform(0, self.batch_s)
        batch = np.ceil((sampled - START + phase) / self.batch_s)
        came = START - phase + batch * self.batch_s
        came += rng.uniform(0, self.jitter_s, size=n + 10)[batch.astype(int) % n]
        for start, end in self.stalls:
            held = (came >= START + start) & (came < START + end)
            came[held] = START + end
        came = np.maximum.accumulate(came)
        read = np.ceil((came - START) / self.poll_s)
        made = []
        for k in np.unique(read):
            at = np.flatnonzero(read == k)
            counters = None
            if self.modulus is not None:
                counters = (rows[at] * self.step) % self.modulus
            made.append(
                RawChunk(
                    rows[at, None].astype(np.float32),
                    came[at],
                    START + float(k) * self.poll_s,
                    counters,
                )
            )
        return made
