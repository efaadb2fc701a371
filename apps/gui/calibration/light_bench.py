"""How long after the written onset of a cue its light comes: cues shown to a photodiode.

screen of cues --light--> photodiode --wire--> auxiliary input of the board --> recording
       +--written onset--> marker -----------------------------------------------^  read back
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtbci.apps.gui.calibration.cue_bench import frame_s, protocol, show_cues
from rtbci.apps.gui.calibration.cue_screen import CueScreen
from rtbci.apps.gui.calibration.store import Plan
from rtbci.apps.photodiode import LightTiming, candidates, find_light
from rtbci.apps.settings import Pins, SourceSettings
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import TrialTiming
from rtbci.errors import BadInputError
from rtbci.live.view import View
from rtbci.recording.reader import open_recording
from rtbci.types import Channel

TIMING = TrialTiming(fixation_s=0.25, cue_s=0.35, imagery_s=0.06, rest_s=(0.1, 0.3))
"""Dark and lit for so long that a screen and a photodiode have settled."""
LEAST = 5
"""Edges that a distribution needs."""


def measure_light(
    cues: int,
    folder: Path,
    source: SourceSettings,
    *,
    channel: str | None = None,
    full_screen: bool = True,
    make_screen: Callable[[], CueScreen] = CueScreen,
) -> LightTiming:
    """Show cues to a photodiode; the application must be there.

    Parameters
    ----------
    cues : int
    folder : Path
        For the recording.
    source : SourceSettings
        Of the board that the photodiode is wired to.
    channel : str, optional
        The photodiode's; found among the auxiliary ones where it is not named.
    full_screen : bool
    make_screen : callable

    Raises
    ------
    RtbciError
        Where the session ends before its time.
    BadInputError
        Where there is no such channel, or none follows the patch.
    """
    config, screen = protocol(cues, TIMING), make_screen()
    frame = frame_s(screen)

    def check(view: View) -> str:
        info = view.info
        return problem_of(info.source, info.channels, channel)

    plan = Plan("timing", source)
    read = open_recording(
        show_cues(screen, config, plan, folder, full_screen=full_screen, check=check)
    )
    info, stream = read.info, read.main
    columns = _columns(info.channels, channel)
    onsets = np.array([m.time for m in read.markers() if m.label in config.classes])
    rows = np.asarray(stream.data(), dtype=np.float64)[:, columns]
    found = find_light(stream.times(), rows, onsets, config.trial.cue_s, info.rate)
    names = [info.channels[i].name for i in columns]
    if found is None:
        pins = t(f"timing.pins_{source.aux or 'other'}")
        raise BadInputError(
            t("timing.no_light", cues=len(onsets), channels=", ".join(names), pins=pins)
        )
    column, delays = found
    seen = delays[np.isfinite(delays)]
    if len(seen) < LEAST:
        raise BadInputError(t("timing.few", n=len(seen), cues=len(onsets)))
    return LightTiming(names[column], len(onsets), info.rate, frame, seen)


def with_pins(source: SourceSettings, pins: Pins | None) -> SourceSettings:
    """The board with these pins read; a Cyton's analogue ones where none are named."""
    pinned = source.kind == "board" and source.name.lower() in ("openbci", "cyton", "cyton_daisy")
    return replace(source, aux=pins or ("analog" if pinned else ""))


def _columns(channels: tuple[Channel, ...], channel: str | None) -> list[int]:
    if channel is None:
        return candidates(channels)
    return [i for i, c in enumerate(channels) if c.name == channel]


def problem_of(source: str, channels: tuple[Channel, ...], channel: str | None) -> str:
    """Why a source can't be measured with; empty where it can."""
    if _columns(channels, channel):
        return ""
    if channel is None:
        return t("timing.no_channels", source=source)
    names = ", ".join(c.name for c in channels)
    return t("timing.no_channel", source=source, channel=channel, channels=names)
