"""A window's side of a view: reads a session of another process, and tells whether it lives."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rtbci.errors import BadInputError
from rtbci.live import layout
from rtbci.live.layout import MappedFile
from rtbci.live.registry import EVENTS_FILE, VIEW_FILE, Pulse, SessionEntry, read_entry
from rtbci.live.view import ALIVE_S, Rows, ViewInfo
from rtbci.live.writer import BEAT, BEGUN
from rtbci.types import Channel, ChannelType, Decode, Forecast, IndexArray

MOST_EVENTS_BYTES = 1 << 20
"""Of the events that are read at a time."""


class LiveView:
    """A :class:`rtbci.live.view.View` of a session that runs.

    It can be read on after the session has ended: what was there stays.

    Parameters
    ----------
    mapped : MappedFile
    events : BinaryIO
        The session's events, open.
    pulse : Pulse
        Tells whether the engine's process is there.

    Attributes
    ----------
    entry : SessionEntry
        Who runs the session, and with which settings; kept when its folder has gone.
    """

    def __init__(
        self, mapped: MappedFile, events: BinaryIO, pulse: Pulse, entry: SessionEntry
    ) -> None:
        self.entry = entry
        self._rings = mapped.rings
        self._marks = mapped.marks
        self._events = events
        self._pulse = pulse
        self._info = _info(mapped.info)

    @classmethod
    def open(cls, folder: Path) -> LiveView:
        """Open the view of the session in ``folder``.

        Raises
        ------
        BadInputError
            Where there is no session, it is not ready, or another version of rtbci runs it.
        """
        mapped = layout.attach(folder / VIEW_FILE)
        entry = read_entry(folder)
        try:
            # NB: unbuffered, since the file grows behind what a buffer would hold.
            events = (folder / EVENTS_FILE).open("rb", buffering=0)
        except OSError:
            entry = None
        if entry is None:
            raise BadInputError(
                f"the session in {folder} has just ended; `rtbci attach --list` shows those that "
                "run."
            )
        return cls(mapped, events, Pulse(folder), entry)

    @property
    def info(self) -> ViewInfo:
        """As :class:`rtbci.live.view.View` says."""
        if self._info.begun is None and np.isfinite(self._marks[BEGUN]):
            self._info = replace(self._info, begun=float(self._marks[BEGUN]))
        return self._info

    @property
    def alive(self) -> bool:
        """As :class:`rtbci.live.view.View` says."""
        return self.heartbeat_age() < ALIVE_S and self._pulse.there

    def rows(self, after: int, limit: int | None = None) -> Rows:
        """As :class:`rtbci.live.view.View` says."""
        return self._read("rows", after, limit)

    def filtered(self, after: int, limit: int | None = None) -> Rows:
        """As :class:`rtbci.live.view.View` says."""
        return self._read("filtered", after, limit)

    def _read(self, ring: str, after: int, limit: int | None) -> Rows:
        start, fields = self._rings[ring].read(after, limit)
        return Rows(start, fields["data"], fields["times"])

    def filtered_breaks(self, after: int) -> IndexArray:
        """As :class:`rtbci.live.view.View` says."""
        _, fields = self._rings["breaks"].read(0)
        rows: IndexArray = fields["row"]
        return rows[rows >= after]

    def forecasts(self, after_token: int) -> list[Forecast]:
        """As :class:`rtbci.live.view.View` says."""
        ring = self._rings["forecasts"]
        made = []
        # NB: one at a time, since most polls want the newest only and each has 64 kB.
        for number in range(ring.written - 1, max(-1, ring.written - ring.capacity - 1), -1):
            if int(ring.fields["token"][number % ring.capacity]) <= after_token:
                break
            _, got = ring.read(number, 1)
            if len(got["token"]) and int(got["token"][0]) > after_token:
                made.append(_forecast({name: field[0] for name, field in got.items()}))
        return sorted(made, key=lambda forecast: forecast.token)

    def decodes(self, after_token: int) -> list[Decode]:
        """As :class:`rtbci.live.view.View` says."""
        ring = self._rings["decodes"]
        written = ring.written
        tokens = ring.fields["token"]
        first = written
        while first > max(0, written - ring.capacity):
            if int(tokens[(first - 1) % ring.capacity]) <= after_token:
                break
            first -= 1
        _, got = ring.read(first)
        made = [_decode(json.loads(text)) for text in got["text"]]
        return [decode for decode in made if decode.token > after_token]

    def status(self) -> dict[str, Any] | None:
        """As :class:`rtbci.live.view.View` says."""
        ring = self._rings["status"]
        _, got = ring.read(ring.written - 1)
        if not len(got["text"]):
            return None
        newest: dict[str, Any] = json.loads(got["text"][-1])
        return newest

    def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """As :class:`rtbci.live.view.View` says; a position is one in the file."""
        self._events.seek(after)
        text = self._events.read(MOST_EVENTS_BYTES)
        whole = text[: text.rfind(b"\n") + 1]  # the last line may still be written
        return [json.loads(line) for line in whole.splitlines()], after + len(whole)

    def heartbeat_age(self) -> float:
        """As :class:`rtbci.live.view.View` says."""
        return max(0.0, time.monotonic() - float(self._marks[BEAT]))

    def close(self) -> None:
        """As :class:`rtbci.live.view.View` says."""
        self._events.close()
        self._pulse.close()


def _info(said: dict[str, Any]) -> ViewInfo:
    channels = tuple(
        Channel(c["name"], ChannelType(c["type"]), c["unit"], c["full_scale"])
        for c in said["channels"]
    )
    lists = {key: tuple(said[key]) for key in ("electrodes", "classes")}
    return ViewInfo(**(said | {"channels": channels} | lists))


def _forecast(got: dict[str, Any]) -> Forecast:
    return Forecast(
        int(got["token"]),
        int(got["sample"]),
        float(got["time"]),
        float(got["rate"]),
        got["mean"],
        got["by"].decode(),
    )


def _decode(said: dict[str, Any]) -> Decode:
    thresholds = said["thresholds"]
    changed = {
        "classes": tuple(said["classes"]),
        "p": np.array(said["p"], dtype=np.float64),
        "evidence": tuple(said["evidence"]),
        "thresholds": None if thresholds is None else (thresholds[0], thresholds[1]),
        "flags": tuple(said["flags"]),
    }
    return Decode(**(said | changed))
