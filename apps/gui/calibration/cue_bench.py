"""How near the written onset of a cue is to the end of the paint that showed it.

    conductor --cue--> screen of cues --its paint ends: noted here--> compared with
              <-- onset of that paint --> marker --> engine --> recording, read back

Both ends are real: a window of the desktop, and a recording of an engine of its own on the
simulator.  What a screen adds (its own latency, about a frame) is measured with a photodiode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtGui import QPaintEvent

from rtbci.apps.gui.calibration.cue_screen import CueScreen
from rtbci.apps.gui.calibration.engine import run_settings, starter
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.running import Happening, Runner
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.gui.calibration.window import FAST_MS
from rtbci.apps.gui.view_models.guided import Part
from rtbci.apps.texts import t
from rtbci.calibration.protocol import machine
from rtbci.calibration.protocol.config import (
    BlockConfig,
    ProtocolConfig,
    TrialTiming,
    load_protocol,
)
from rtbci.calibration.protocol.plan import Kind
from rtbci.clock import Clock, MonotonicClock
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError, RtbciError
from rtbci.live.view import View
from rtbci.recording.reader import open_recording

TIMING = TrialTiming(fixation_s=0.08, cue_s=0.12, imagery_s=0.06, rest_s=(0.05, 0.12))
"""A quarter of a second a trial: only the cue's onset matters here."""
USUAL_HZ = 60.0
SEED = 1


@dataclass(frozen=True)
class CueTiming:
    """What was measured.

    Attributes
    ----------
    cues, missed : int
        Shown and written; left out since their time was over.
    frame_s : float
        Of the screen.
    written_s : ndarray, shape (n_cues,)
        Written onset minus the end of the paint that showed it.
    late_s : ndarray, shape (n_cues,)
        Written onset minus the time at which it was due.
    """

    cues: int
    missed: int
    frame_s: float
    written_s: npt.NDArray[np.float64]
    late_s: npt.NDArray[np.float64]

    @property
    def frames(self) -> npt.NDArray[np.float64]:
        """``written_s`` in frames."""
        return self.written_s / self.frame_s

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        size = np.abs(self.frames)
        return {
            "event": "summary",
            "cues": self.cues,
            "missed": self.missed,
            "frame_ms": round(1000 * self.frame_s, 3),
            "within_one_frame": int(np.sum(size <= 1.0)),
            "frames": _spread(size, 1.0, 4),
            "late_ms": _spread(self.late_s, 1000.0, 2),
        }

    def lines(self) -> list[str]:
        """For people."""
        told = self.to_dict()
        return [
            t(
                "calibration.bench.cues",
                n=self.cues,
                frame_ms=told["frame_ms"],
                rate=1.0 / self.frame_s,
            ),
            t("calibration.bench.written", **told["frames"]),
            t("calibration.bench.within", within=told["within_one_frame"], n=self.cues),
            t("calibration.bench.late", **told["late_ms"]),
            t("calibration.bench.missed", missed=self.missed),
        ]


def _spread(values: npt.NDArray[np.float64], by: float, digits: int) -> dict[str, float]:
    p50, p95 = np.quantile(values, [0.5, 0.95])
    every = {"p50": p50, "p95": p95, "largest": np.max(values)}
    return {name: round(float(by * value), digits) for name, value in every.items()}


class WatchedScreen(CueScreen):
    """Notes when each paint that shows a cue for the first time has ended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._was_on = False
        self.ends: list[float] = []

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Paint, then look at the clock."""
        super().paintEvent(event)
        if self.patch_is_on and not self._was_on:
            self.ends.append(self._clock.now())
        self._was_on = self.patch_is_on


def protocol(cues: int, timing: TrialTiming = TIMING) -> ProtocolConfig:
    """A block of that many cues, half of them of each class."""
    each = max(1, cues // 2)
    blocks = BlockConfig(count=1, trials=each, break_s=0.05)
    return replace(load_protocol("graz-2"), instructions=(), trial=timing, blocks=blocks)


def measure_cues(cues: int, folder: Path, *, full_screen: bool = True) -> CueTiming:
    """Show cues and read back what was written of them; the application must be there.

    Parameters
    ----------
    cues : int
    folder : Path
        For the recording.
    full_screen : bool

    Raises
    ------
    RtbciError
        Where the engine ends before its time.
    """
    config, screen = protocol(cues, TIMING), WatchedScreen(MonotonicClock())
    plan = Plan("bench", montage="C3,Cz,C4")
    recording = show_cues(screen, config, plan, folder, full_screen=full_screen)
    return _compare(recording, config, screen.ends, frame_s(screen))


def show_cues(
    screen: CueScreen,
    config: ProtocolConfig,
    plan: Plan,
    folder: Path,
    *,
    full_screen: bool = True,
    check: Callable[[View], str] = lambda _: "",
) -> Path:
    """Show a protocol's cues on a real window, beside an engine of its own; gives its recording.

    Parameters
    ----------
    screen : CueScreen
        Is closed at the end.
    config : ProtocolConfig
    plan : Plan
        With the source.
    folder : Path
        For the recording.
    full_screen : bool
    check : callable
        Says what is wrong with the source, once it is open; empty where nothing is.

    Raises
    ------
    RtbciError
        Where the engine ends before its time, or the user does.
    BadInputError
        With what ``check`` has said.
    """
    presenter = QtPresenter(full_screen=full_screen, beep=lambda: None)
    presenter.cues = screen
    presenter.classes = config.classes
    runner = Runner(starter(lambda: ()), presenter, MonotonicClock())
    runner.connect(run_settings(plan, config, record=folder, profile=None, config=SessionConfig()))
    loop = QEventLoop()
    wrong: list[RtbciError] = []

    def end(why: RtbciError | None) -> None:
        wrong.extend([why] if why is not None else [])
        loop.quit()

    def begin() -> None:
        engine = runner.state.engine
        said = check(engine.view) if engine is not None and engine.view is not None else ""
        if said:
            end(BadInputError(said))
        else:
            runner.show(Part.BLOCK, config, plan.subject, SEED)

    def tick() -> None:
        for told in runner.tick():
            if told.what is Happening.STARTED:
                begin()
            elif told.what is Happening.OVER:
                runner.finish()
            elif told.what in (Happening.ENDED, Happening.FAILED):
                end(RtbciError(told.words) if told.what is Happening.FAILED else None)

    screen.asked.connect(lambda _: end(RtbciError(t("timing.stopped"))))
    presenter.cover(screen)
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(FAST_MS)
    loop.exec()
    timer.stop()
    engine = runner.drop()
    if engine is not None:
        engine.wait()
    screen.close_for_good()
    if wrong:
        raise wrong[0]
    return Path(runner.recording)


def frame_s(screen: CueScreen) -> float:
    """How long the screen shows a frame, seconds."""
    return 1.0 / (screen.screen().refreshRate() or USUAL_HZ)


def _compare(
    recording: Path, config: ProtocolConfig, ends: list[float], frame_s: float
) -> CueTiming:
    """Set the markers of a recording against the ends of the paints, and against the plan."""
    read = open_recording(recording)
    markers = read.markers()
    written = np.array([m.time for m in markers if m.label in config.classes])
    [block] = [m.time for m in markers if m.label == "block"]
    notes = [c.values for c in read.commands()]
    missed = sum(v.get("what") == "missed" and v.get("label") in config.classes for v in notes)
    shown, due = np.array(ends), block + _planned(config)
    # NB: by nearness, since a cue that was left out was perhaps painted, and the other way round.
    nearest = shown[np.argmin(np.abs(written[:, None] - shown), axis=1)]
    before = due[np.searchsorted(due, written, side="right") - 1]
    return CueTiming(len(written), missed, frame_s, written - nearest, written - before)


def _planned(config: ProtocolConfig) -> npt.NDArray[np.float64]:
    """When each cue is due, seconds after the beginning of its block."""
    [section] = machine.Protocol(config, SEED).sections
    begins = np.cumsum([0.0, *(slot.seconds for slot in section.slots)])[:-1]
    cues = [slot.kind is Kind.CUE for slot in section.slots]
    return np.asarray(begins[cues], dtype=np.float64)
