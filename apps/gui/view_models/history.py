"""Rows of the session that are past: from what the engine still keeps, older ones from the disk.

    asked for [start, stop] -> rows of [start - warm-up, stop + margin] -> display filter -> kept

What was filtered last is kept, so that scrolling on by a little reads nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtbci.apps.gui.view_models.signals import WARM_UP_S, Piece, SignalsModel, filter_pieces
from rtbci.errors import RtbciError
from rtbci.recording.reader import open_recording
from rtbci.recording.stream_reader import StreamReader
from rtbci.types import FloatArray, TimeArray

if TYPE_CHECKING:
    from rtbci.live.view import View

MARGIN_S = 10.0
"""So much more is read to both sides of what is asked for."""


class History:
    """Looks back over a whole session.

    Parameters
    ----------
    view : View
    model : SignalsModel
        For the channels and the filters in use.
    """

    def __init__(self, view: View, model: SignalsModel) -> None:
        self._view = view
        self._model = model
        self._kept: tuple[float, float, int, Piece] | None = None
        self._disk: StreamReader | None = None
        self._on_disk = ""

    def first(self) -> float:
        """Time of the oldest row that can be shown, seconds of the session's clock."""
        disk = self._recorded()
        if disk is not None and disk.n_rows:
            return float(disk.times(0, 1)[0])
        rows = self._view.rows(0, 1)
        return float(rows.times[0]) if len(rows.times) else float("nan")

    def between(self, start: float, stop: float) -> Piece:
        """Give the rows in [start, stop] as the display shows them; none where there are none."""
        version = self._model.version
        if self._kept is not None:
            low, high, made, piece = self._kept
            if made == version and low <= start and stop <= high:
                return _cut(piece, start, stop)
        low, high = start - MARGIN_S, stop + MARGIN_S
        times, raw = self._read(low - WARM_UP_S, high)
        if len(times) == 0:
            return Piece(times, raw)
        shown = filter_pieces(self._model.make_filter(), times, raw, self._model.good)
        piece = Piece(times, shown)
        # NB: up to the newest row only: what comes later has to be read then.
        self._kept = (low, min(high, float(times[-1])), version, piece)
        return _cut(piece, start, stop)

    def _read(self, start: float, stop: float) -> tuple[TimeArray, FloatArray]:
        kept = self._view.rows(0, 1)
        if len(kept.times) and start < kept.times[0]:
            older = self._read_disk(start, min(stop, float(kept.times[0])))
            newer = self._read_ring(float(kept.times[0]), stop)
            times = np.concatenate([older[0], newer[0]])
            return times, np.concatenate([older[1], newer[1]])
        return self._read_ring(start, stop)

    def _read_ring(self, start: float, stop: float) -> tuple[TimeArray, FloatArray]:
        rate = self._model.rate
        kept = self._view.rows(0, 1)
        if len(kept.times) == 0 or stop < kept.times[0]:
            return np.zeros(0), np.zeros((0, len(self._model.columns)), dtype=np.float32)
        # NB: gaps only make rows fewer, so the row lies at this index or before it.
        after = kept.start
        wanted = round((start - float(kept.times[0])) * rate)
        limit = round((stop - start) * rate) + 2
        low, high = after, after + max(wanted, 0)
        while low < high:
            middle = (low + high) // 2
            row = self._view.rows(middle, 1)
            if len(row.times) and row.times[0] < start:
                low = max(middle, row.start) + 1
            else:
                high = middle
        rows = self._view.rows(low, limit)
        inside = rows.times < stop
        return rows.times[inside], rows.data[inside][:, self._model.columns]

    def _read_disk(self, start: float, stop: float) -> tuple[TimeArray, FloatArray]:
        disk = self._recorded()
        empty = np.zeros(0), np.zeros((0, len(self._model.columns)), dtype=np.float32)
        if disk is None:
            return empty
        low, high = _row_at(disk, start), _row_at(disk, stop)
        if high <= low:
            return empty
        data = np.asarray(disk.data(low, high), dtype=np.float32)
        return disk.times(low, high), data[:, self._model.columns]

    def _recorded(self) -> StreamReader | None:
        """The recording as it is now, where there is one that can be read."""
        path = self._view.info.recording
        if not path:
            return None
        if self._disk is None or self._on_disk != path:
            try:
                self._disk = open_recording(Path(path)).main
            except (RtbciError, OSError):
                return None  # it has only just begun, or lies on another machine
            self._on_disk = path
        # NB: made anew, because a reader counts its rows once and the recording grows.
        self._disk = StreamReader(self._disk.files, self._disk.info)
        return self._disk


def _row_at(disk: StreamReader, time: float) -> int:
    """Index of the first row at or after a time; bisection on the file of times."""
    low, high = 0, disk.n_rows
    while low < high:
        middle = (low + high) // 2
        if float(disk.times(middle, middle + 1)[0]) < time:
            low = middle + 1
        else:
            high = middle
    return low


def _cut(piece: Piece, start: float, stop: float) -> Piece:
    first = max(int(np.searchsorted(piece.times, start)) - 1, 0)
    last = int(np.searchsorted(piece.times, stop, side="right")) + 1
    return Piece(piece.times[first:last], piece.data[first:last])
