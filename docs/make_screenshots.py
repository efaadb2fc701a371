"""Make the pictures of the documentation from real sessions: ``python docs/make_screenshots.py``.

Each picture shows a session that runs while it is made: the simulator's, a calibration of the
simulated subject, and a replay of real EEG where the environment variable RTBCI_DATA names a folder
that has some.  Nothing in them is drawn by hand.  No display is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PIL import Image
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from rtbci.apps import window_session
from rtbci.apps.calibration_score import Job, Worker, do
from rtbci.apps.gui import theme
from rtbci.apps.gui.calibration.notes import check_note
from rtbci.apps.gui.calibration.presenter import QtPresenter
from rtbci.apps.gui.calibration.session import GuidedSession
from rtbci.apps.gui.calibration.store import BlockDone, GuidedState, Plan, TrialShown
from rtbci.apps.gui.calibration.window import CalibrationWindow
from rtbci.apps.gui.live.attached import AttachedWindow
from rtbci.apps.gui.live.display_control import display_of
from rtbci.apps.gui.live.signals_panel import SignalsPanel
from rtbci.apps.gui.live.strip_panel import StripPanel
from rtbci.apps.gui.remembered import Remembered
from rtbci.apps.gui.review.window import ReviewWindow
from rtbci.apps.gui.view_models.review import ReviewModel
from rtbci.apps.settings import RunSettings, SourceSettings
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import BlockConfig, load_protocol
from rtbci.calibration.protocol.rehearsal import SubjectSettings, rehearse
from rtbci.clock import MonotonicClock
from rtbci.montage import parse_montage
from rtbci.recording.reader import open_recording

IMAGES = Path(__file__).parent / "images"
SIZE = (1600, 900)
ELECTRODES = "Fp1,Fp2,F3,F4,C5,C3,Cz,C4,C6,CP3,CP4,P3,P4,T7,O1,O2"
CALIBRATED = "Fp1,Fp2,F7,F3,Fz,F4,F8,FC1,FC2,C3,Cz,C4,CP1,CP2,P3,P4,O1,O2,T7,T8"
REPLAY = "motor_imagery/eegmmidb/S001/S001R04.edf"
COLOURS = 256
LONG_S = 80.0
"""Of a session: forecast errors are counted from a minute on."""
REVIEWED_S = 40.0


def wait(seconds: float) -> None:
    """Let the window run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def keep(widget: QWidget, name: str) -> None:
    """Write a picture, with few colours, so that it stays small."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    # NB: this method keeps rare colours (the others mix the theme's red into its orange).
    method = Image.Quantize.MAXCOVERAGE
    few = Image.fromarray(pixels).quantize(COLOURS, method, dither=Image.Dither.NONE)
    IMAGES.mkdir(exist_ok=True)
    file = IMAGES / f"{name}.png"
    few.save(file, optimize=True)
    sys.stdout.write(f"{file} {file.stat().st_size // 1024} kB\n")


@contextmanager
def live(settings: RunSettings, scratch: Path) -> Iterator[AttachedWindow]:
    """Run a session and open its window."""
    engine = window_session.start(settings)
    try:
        window = AttachedWindow(engine.wait(), Remembered(scratch / f"{engine.id}.ini"))
        window.resize(*SIZE)
        window.show()
        yield window
        window.close()
    finally:
        if not engine.ended:
            engine.end()


def panel(window: AttachedWindow, kind: type[Any]) -> Any:
    """Give one of the window's panels."""
    return next(p for p in window.panels if isinstance(p, kind))


def simulated(scratch: Path) -> None:
    """Pictures of a session on the simulator."""
    settings = replace(
        RunSettings(),
        montage=ELECTRODES,
        subject="P07",
        record=str(scratch / "recordings"),
        lsl_out=True,
        osc="127.0.0.1:9000",
    )
    with live(settings, scratch) as window:
        wait(LONG_S)
        window.session.send({"command": "leave_out", "channel": "T7"})
        wait(3.0)
        window.session.send({"command": "mark", "label": "blink"})
        wait(2.0)
        keep(window, "live-dark")
        theme.apply("light")
        wait(1.0)
        keep(window, "live-light")
        panel(window, StripPanel).show_page(1)
        display_of(window.session).set(sweep=True, past_s=0.1)
        wait(10.0)
        keep(window, "live-sweep")
        theme.apply("dark")


def replayed(scratch: Path) -> None:
    """Pictures of real EEG, 64 electrodes."""
    file = Path(os.environ.get("RTBCI_DATA", "")) / REPLAY
    if not os.environ.get("RTBCI_DATA") or not file.is_file():
        sys.stdout.write("RTBCI_DATA names no folder with EEGMMIDB: no picture of a replay\n")
        return
    settings = replace(RunSettings(), source=SourceSettings(kind="replay", name=str(file)))
    with live(settings, scratch) as window:
        display_of(window.session).set(average=True)
        wait(LONG_S)
        keep(window, "live-64")
        panel(window, SignalsPanel).show_view("head")
        panel(window, StripPanel).show_page(1)
        wait(2.0)
        keep(window, "live-head")


def guided(scratch: Path) -> None:
    """The verdict after two blocks of a calibration, on the simulated subject."""
    montage = parse_montage(CALIBRATED)
    two = replace(load_protocol("graz-2"), instructions=(), blocks=BlockConfig(count=2, trials=10))
    who = SubjectSettings(montage=montage, seed=3, skill=0.5)
    both = (load_protocol("signal-check"), two)
    recording = rehearse(both, scratch, who, seed=1, subject="P07")
    asked = Job("score", "P07", [str(recording)], [20], "auto", str(scratch / "profiles"), 100)
    report, checked = do(asked)["report"], do(replace(asked, do="check"))
    shown = [
        TrialShown(m.label, m.time)
        for m in open_recording(recording).markers()
        if m.label in two.classes
    ]
    half = len(shown) // 2
    state = GuidedState(Plan("P07", montage=CALIBRATED), recordings=[str(recording)])
    state.blocks = [
        BlockDone(n, str(recording), part[0].time, part[-1].time, tuple(part))
        for n, part in ((1, shown[:half]), (2, shown[half:]))
    ]
    state.done = {"subject": f"P07 · {len(montage)} electrodes", "check": check_note(checked)}
    state.done["practice"] = t("calibration.path.skipped")
    state.done |= {f"block {n}": f"{half} trials" for n in (1, 2)}
    state.looked, state.answers = [half, 2 * half], {"report": report, "check": checked}
    presenter = QtPresenter(full_screen=False)
    session = GuidedSession(
        state,
        scratch / "guided",
        scratch,
        start=window_session.start,
        presenter=presenter,
        clock=MonotonicClock(),
        worker=Worker(),
    )
    window = CalibrationWindow(session, presenter)
    window.resize(*SIZE)
    window.show()
    wait(1.0)
    keep(window, "calibration")
    window.close()


def reviewed(scratch: Path) -> None:
    """A session on the simulator, looked at again."""
    record = scratch / "recordings"
    settings = replace(RunSettings(), montage=ELECTRODES, subject="P07", record=str(record))
    with live(settings, scratch) as window:
        wait(REVIEWED_S)
        window.session.send({"command": "mark", "label": "blink"})
        wait(2.0)
        recording = window.session.info.recording
    assert recording is not None
    review = ReviewWindow(ReviewModel(Path(recording)), Remembered(scratch / "review.ini"))
    review.resize(*SIZE)
    review.show()
    review.timeline_to(REVIEWED_S / 2)
    wait(2.0)
    keep(review, "review")
    review.close()


PICTURES: dict[str, Callable[[Path], None]] = {
    "simulated": simulated,
    "replayed": replayed,
    "guided": guided,
    "reviewed": reviewed,
}


def main() -> None:
    """Make all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*PICTURES, []], help="all where none is named")
    which = parser.parse_args().which or list(PICTURES)
    app = QApplication([])
    app.setStyle("Fusion")
    theme.apply("dark", 1.0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        for name in which:
            PICTURES[name](Path(folder))


if __name__ == "__main__":
    main()
