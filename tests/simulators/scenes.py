"""Sessions as a window sees them, made up: every card has something to show.

A scene is a string of :class:`rtbci.apps.gui.view_models.update.Update`, from a seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtbci.apps.gui.view_models.update import Update
from rtbci.live.view import Rows, ViewInfo
from rtbci.types import Channel, ChannelType, Decode

CENTRAL = ("Fp1", "Fp2", "F3", "F4", "C5", "C3", "Cz", "C4", "C6", "CP3", "CP4", "P3", "P4")
DAISY = (*CENTRAL, "T7", "O1", "O2")
RATE = 250.0
BEGUN = 1000.0
HOP = 25
ON, OFF = 0.85, 0.4


def view_info(**changed: Any) -> ViewInfo:
    """Facts of a session with a Cyton and Daisy's electrodes."""
    electrodes = tuple(changed.pop("electrodes", DAISY))
    channels = (*(Channel(name) for name in electrodes), Channel("ACCEL1", ChannelType.ACCEL, "g"))
    plain: dict[str, Any] = {
        "session": "scene",
        "source": "OpenBCI Cyton + Daisy",
        "kind": "brainflow",
        "rate": RATE,
        "channels": channels,
        "electrodes": electrodes,
        "model_rate": RATE,
        "model": "eegpt-base",
        "classes": ("left_hand", "right_hand", "rest"),
        "decoder": "P07: population",
        "calibrated": True,
        "n_horizons": 250,
        "recording": None,
        "subject": "P07",
        "begun": BEGUN,
        "ring_s": 60.0,
    }
    return ViewInfo(**plain | changed)


@dataclass
class Scene:
    """A session with imagery after cues, an electrode that is left out, eye movements.

    Parameters
    ----------
    info : ViewInfo
    seed : int
    """

    info: ViewInfo
    seed: int = 0
    cue_s: float = 8.0

    def updates(self, seconds: float) -> Iterator[Update]:
        """News of every token, ten a second."""
        rng = np.random.default_rng(self.seed)
        levels = np.zeros(len(self.info.classes))
        held: str | None = None
        for token in range(round(seconds * 10)):
            t_s = (token + 1) * HOP / RATE
            into = t_s % self.cue_s
            wanted = int(t_s // self.cue_s) % min(2, max(1, len(self.info.classes)))
            flags = ("eyes",) if 3.6 < into < 4.4 else ()
            events = self._cue(token, wanted) if abs(into) < 0.05 else ()
            drive = 2.4 if 1.0 < into < 5.0 and not flags else 0.0
            if len(levels):
                aim = np.full(len(levels), -0.4 * drive)
                aim[wanted] = drive
                levels += 0.1 * (aim - levels) + 0.05 * rng.normal(size=len(levels))
                top = int(np.argmax(levels))
                if levels[top] > ON:
                    held = self.info.classes[top]
                elif levels.max() < OFF:
                    held = None
            yield Update(
                time=BEGUN + t_s,
                rows=self._rows(token, rng, len(self.info.channels)),
                filtered=self._rows(token, rng, len(self.info.electrodes)),
                breaks=(0,) if token == 0 else (),
                decodes=self._decode(token, t_s, levels, held, flags),
                status=self._status(token, t_s, rng, levels, held),
                events=events,
            )

    def _rows(self, token: int, rng: np.random.Generator, n: int) -> Rows:
        at = np.arange(token * HOP, (token + 1) * HOP)
        alpha = np.sin(2 * np.pi * 10.0 * at / RATE)[:, None] * np.linspace(2.0, 12.0, n)
        data = alpha + rng.normal(size=(HOP, n)).cumsum(axis=0) * 2.0
        return Rows(token * HOP, data.astype(np.float32), BEGUN + at / RATE)

    def _cue(self, token: int, wanted: int) -> tuple[dict[str, Any], ...]:
        t_s = (token + 1) * HOP / RATE
        label = self.info.classes[wanted] if self.info.classes else "T1"
        return (
            {
                "event": "marker",
                "t_s": t_s,
                "label": label,
                "duration_s": 0.0,
                "origin": "cue",
                "sample": token * HOP,
            },
        )

    def _decode(
        self,
        token: int,
        t_s: float,
        levels: np.ndarray,
        held: str | None,
        flags: tuple[str, ...],
    ) -> tuple[Decode, ...]:
        if not self.info.classes:
            return ()
        p = np.exp(1.6 * levels)
        return (
            Decode(
                token=token,
                sample=(token + 1) * HOP - 1,
                time=BEGUN + t_s,
                classes=self.info.classes,
                p=p / p.sum(),
                decision=held,
                reason="" if token >= 10 else "window not full",
                decoder=self.info.decoder,
                calibrated=self.info.calibrated,
                evidence=tuple(levels.tolist()),
                thresholds=(ON, OFF),
                flags=flags,
            ),
        )

    def _status(
        self,
        token: int,
        t_s: float,
        rng: np.random.Generator,
        levels: np.ndarray,
        held: str | None,
    ) -> dict[str, Any]:
        names = list(self.info.electrodes)
        late = 9.0 + 2.0 * rng.gamma(1.0)
        decode = {"p": None, "calibrated": self.info.calibrated, "age_s": 0.02, "decision": held}
        bins = ((0, 50), (50, 100), (100, 200), (200, 500), (500, 1000))
        errors = [(0.39, 0.41, 0.45, 0.9), (0.6, 0.73, 0.71, 1.3), (0.63, 0.96, 0.7, 1.7)]
        errors += [(0.77, 1.02, 0.8, 1.9), (0.92, 1.0, 0.97, 2.0)]
        return {
            "event": "status",
            "t_s": t_s,
            "source": self.info.source,
            "rate": self.info.rate,
            "electrodes": names,
            "sd_uv": [72.0 if n == "Fp2" else 12.0 for n in names],
            "left_out": {"T7": "noisy: 412 µV"} if "T7" in names and t_s > 6 else {},
            "trouble": "",
            "outputs": 2,
            "sinks": [
                {"kind": "lsl", "where": "rtbci-decode", "heard": True, "dropped": 0},
                {"kind": "osc", "where": "127.0.0.1:9000", "heard": None, "dropped": 0},
            ],
            "stopped": False,
            "samples": (token + 1) * HOP,
            "tokens": token + 1,
            "skipped_forecasts": 0,
            "backlog_tokens": 0,
            "device": "cpu",
            "gaps": 1,
            "gap_s": 0.24,
            "latency_ms": {
                "p50": 10.1,
                "p99": 14.2,
                "p999": 20.0,
                "max": 23.4,
                "stages": {
                    "driver": {"p50": 4.1, "p99": 7.9},
                    "queue": {"p50": 0.2, "p99": 0.9},
                    "compute": {"p50": 5.7, "p99": 7.1},
                },
            },
            "latency_last": {"count": token + 1, "ms": [late]},
            "skill": [
                {
                    "horizon_ms": list(b),
                    "model": e[0],
                    "ar": e[1],
                    "ridge": e[2],
                    "persistence": e[3],
                }
                for b, e in zip(bins, errors, strict=True)
            ],
            "decode": decode if self.info.classes else None,
        }
