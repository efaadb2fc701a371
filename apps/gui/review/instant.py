"""Feeds the live window's view models with a recording, so that its cards show an instant of it."""

from __future__ import annotations

import numpy as np

from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.decode import DecodeModel
from rtbci.apps.gui.view_models.forecast import ForecastModel
from rtbci.apps.gui.view_models.review import FRESH_S, TAIL_S, ReviewModel
from rtbci.apps.gui.view_models.signals import SignalsModel
from rtbci.apps.gui.view_models.update import Update
from rtbci.events import gap_event, marker_event
from rtbci.live.memory import MemoryView
from rtbci.live.view import Rows

BACK_S = 25.0
"""Decodes of so long before an instant are handed to the decode column."""


def recorded_session(model: ReviewModel) -> Session:
    """Make a session of a recording's end; older rows come off the disk."""
    recording = model.recording
    view = MemoryView(model.info)
    first = max(0, recording.n_rows - round(TAIL_S * recording.info.rate))
    data, times = recording.main.data(first), recording.main.times(first)
    view.push_rows(data, times)
    session = Session(view)
    for kind in (SignalsModel, ForecastModel, DecodeModel):
        session.model(kind)
    gaps = [{"event": "gap", **gap_event(gap, model.begun)} for gap in model.gaps]
    marks = [marker_event(marker, model.begun) for marker in model.markers]
    nothing = Rows(0, np.zeros((0, len(model.info.electrodes)), dtype=np.float32), np.zeros(0))
    session.model(SignalsModel).take(
        Update(
            time=float(times[-1]),
            rows=Rows(first, data, times),
            filtered=nothing,
            events=(*gaps, *marks),
            begun=model.begun,
        )
    )
    return session


def show_decodes(session: Session, model: ReviewModel, now: float) -> None:
    """Let the decode column stand where it stood at an instant, seconds after the first row."""
    column = session.model(DecodeModel)
    column.reset()
    for marker in model.cues_before(now, BACK_S):
        column.take_event(marker_event(marker, model.begun))
    decodes = model.decodes_before(now, BACK_S)
    column.take_decodes(decodes)
    age = now - (decodes[-1].time - model.begun) if decodes else 0.0
    column.state.age_s = age if age > FRESH_S else 0.0
