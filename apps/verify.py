"""Replays a recording through the pipeline and compares with what was decoded live.

Every decode and forecast must come again, bit for bit, where the platform is the one that
recorded; where it is another, within a stated tolerance, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtbci import events
from rtbci.apps.assemble import (
    DECODER_FOLDER,
    limit_threads,
    platform_facts,
    steer_as_recorded,
)
from rtbci.calibration.online.decoder import online_decoder
from rtbci.calibration.profile import open_profile
from rtbci.errors import BadInputError
from rtbci.models.registry import Device, load_model
from rtbci.pipeline import Pipeline
from rtbci.recording.jsontext import plain
from rtbci.recording.reader import Recording, open_recording
from rtbci.recording.results import RecordedDecode, RecordedForecast
from rtbci.recording.stream_reader import Command
from rtbci.types import ChannelHealth, Decode, DecoderChange, Forecast

TOLERANCE_P = 1e-3
"""Largest difference of a probability, where the platforms differ."""
TOLERANCE_UV = 1e-2
"""Largest difference of a published forecast relative to its largest value, likewise; the
recording keeps these as float16, which is good to 1e-3 of each."""
DECIDED = ("decision", "evidence", "thresholds", "flags")
"""What a last bit can turn: compared where the platforms are one."""
SHOWN = 20
"""Differences that are kept in words; all are counted."""

Tell = Callable[[dict[str, Any]], None]


@dataclass
class Verification:
    """What a replay found.

    Attributes
    ----------
    recording : str
    other : dict
        What differs from the platform that recorded, ``name: (then, now)``; empty: exact.
    decodes, forecasts, channels, adaptations : int
        Results compared.
    unrecorded : int
        Results that were not compared, because a session that was cut short had not written
        them yet: rows are written before what was made of them.
    count : int
        Differences found.
    differences : list of dict
        The first ones: ``t_s`` and ``what``.
    """

    recording: str
    other: dict[str, tuple[Any, Any]]
    decodes: int = 0
    forecasts: int = 0
    channels: int = 0
    adaptations: int = 0
    unrecorded: int = 0
    count: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether results had to be identical to the last bit."""
        return not self.other

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.count == 0

    def to_event(self) -> dict[str, Any]:
        """The ``summary`` event."""
        return {
            "event": "summary",
            "recording": self.recording,
            "same": self.same,
            "exact": self.exact,
            "platform_differs": {k: list(v) for k, v in self.other.items()},
            "decodes": self.decodes,
            "forecasts": self.forecasts,
            "channel_changes": self.channels,
            "adaptations": self.adaptations,
            "unrecorded": self.unrecorded,
            "differences": self.count,
        }

    def words(self) -> str:
        """The result for a person."""
        how = "to the last bit" if self.exact else "within the tolerance for another platform"
        compared = f"{self.decodes} decodes and {self.forecasts} forecasts"
        if self.adaptations:
            compared += f", {self.adaptations} changes of the decoder"
        lines = []
        if self.other:
            changed = ", ".join(
                f"{k} {then} then, {now} now" for k, (then, now) in self.other.items()
            )
            lines.append(
                f"not the platform that recorded ({changed}), so compared with a tolerance"
            )
        lines += [f"{d['t_s']:9.3f} s  {d['what']}" for d in self.differences]
        if self.same:
            lines.append(f"identical {how}: {compared}")
        else:
            lines.append(f"{self.count} differences in {compared}")
        if self.unrecorded:
            lines.append(
                f"{self.unrecorded} results at the end were not compared: the session was cut "
                "short before it had written them"
            )
        return "\n".join(lines)


def verify_recording(
    path: Path, device: Device = "auto", on_difference: Tell | None = None
) -> Verification:
    """Run a recording through the pipeline again and compare.

    Parameters
    ----------
    path : Path
        A recording's folder or any file in it.
    device : str
        ``auto``: the one that recorded where there is one here, else the CPU.
    on_difference : callable, optional
        Called with each ``difference`` event.

    Raises
    ------
    BadInputError
        Where the recording's model, or the device that was asked for, is not at hand.
    """
    limit_threads()
    recording = open_recording(path)
    pipeline = rebuild(recording, device)
    then, now = recording.extra["platform"], platform_facts(pipeline.model.device)
    other = {k: (then.get(k), now[k]) for k in now if then.get(k) != now[k]}
    result = Verification(str(recording.files.folder), other)
    start = _start(recording)

    def differ(time: float, what: str) -> None:
        event = {"event": "difference", "t_s": events.since(start, time), "what": what}
        result.count += 1
        if len(result.differences) < SHOWN:
            result.differences.append(event)
        if on_difference is not None:
            on_difference(event)

    _compare(recording, pipeline, result, differ)
    return result


def rebuild(recording: Recording, device: Device = "auto") -> Pipeline:
    """Build the pipeline that made a recording: same model, decoder, settings, decisions.

    Parameters
    ----------
    recording : Recording
    device : str
        As in :func:`verify_recording`.

    Raises
    ------
    BadInputError
        Where the model is not at hand, or is another one by its content.
    """
    about = recording.extra.get("model")
    if about is None:
        raise BadInputError(
            f"{recording.files.folder} was recorded without forecasts and decodes (a rehearsal), "
            "so there is nothing to compare; calibrate from it with: rtbci calibrate --from."
        )
    if device == "auto":
        cuda = recording.extra["platform"]["device"] == "cuda" and torch.cuda.is_available()
        device = "cuda" if cuda else "cpu"
    model = load_model(about["asked"], recording.info.electrodes, recording.config, device).model
    if model.identity != about["hash"]:
        raise BadInputError(
            f"{recording.files.folder} was made with {about['name']} ({about['hash'][:12]}), but "
            f"that name now stands for other weights ({model.identity[:12]}); a replay needs the "
            "same ones."
        )
    decoder = None
    if recording.extra["decoder"] is not None:
        profile = open_profile(recording.files.folder / DECODER_FOLDER)
        labels = recording.extra["classes"]
        decoder = online_decoder(profile, recording.info.decoder_channels, recording.config, labels)
    skipped = frozenset(
        command.values["token"]
        for command in recording.commands()
        if command.kind == "skip_forecast"
    )
    pipeline = Pipeline(
        recording.info, recording.config, model, decoder, skip=lambda token, _: token in skipped
    )
    steer_as_recorded(pipeline, recording)
    return pipeline


def _start(recording: Recording) -> float | None:
    first = next(iter(recording.chunks()), None)
    return None if first is None else float(first.times[0])


Differ = Callable[[float, str], None]


def _compare(
    recording: Recording, pipeline: Pipeline, result: Verification, differ: Differ
) -> None:
    torn = cut_short(recording)
    decodes, forecasts = recording.decodes(), recording.forecasts()
    channels = (c for c in recording.commands() if c.kind == "channel")
    changes = (c for c in recording.commands() if c.kind == "adaptation")

    def lost(then: object | None) -> bool:
        result.unrecorded += then is None and torn
        return then is None and torn

    time = 0.0
    for chunk in recording.chunks():
        for made in pipeline.push(chunk):
            if isinstance(made, Decode):
                decode = next(decodes, None)
                if not lost(decode):
                    result.decodes += 1
                    _compare_decode(decode, made, result.exact, differ)
            elif isinstance(made, Forecast):
                forecast = next(forecasts, None)
                if not lost(forecast):
                    result.forecasts += 1
                    _compare_forecast(forecast, made, result.exact, differ)
            elif isinstance(made, DecoderChange):
                step = next(changes, None)
                if not lost(step):
                    result.adaptations += 1
                    _compare_change(step, made, result.exact, differ)
            else:
                change = next(channels, None)
                if not lost(change):
                    result.channels += 1
                    _compare_channel(change, made, time, differ)
        if len(chunk.times):
            time = float(chunk.times[-1])
    if torn:
        return
    rest: tuple[tuple[Iterator[object], str], ...] = (
        (decodes, "decode"),
        (forecasts, "forecast"),
        (channels, "channel change"),
        (changes, "decoder change"),
    )
    for left, what in rest:
        missing = sum(1 for _ in left)
        if missing:
            differ(time, f"{missing} recorded {what}s did not come again")


def cut_short(recording: Recording) -> bool:
    """Whether the session was killed or ended by an error: rows may be ahead of results then."""
    summary = recording.summary
    if summary is None or recording.recovered:
        return True
    return str(summary.get("ended", "")).startswith("error")


def _compare_channel(then: Command | None, now: ChannelHealth, time: float, differ: Differ) -> None:
    values = {"channel": now.channel, "reason": now.reason}
    if then is None or (then.sample, then.values) != (now.sample, values):
        differ(time, f"{now.channel}: {now.reason or 'good again'} was not so then")


def _compare_change(then: Command | None, now: DecoderChange, exact: bool, differ: Differ) -> None:
    if then is None:
        differ(now.time, f"the decoder was not {now.change} then")
        return
    old = (then.sample, then.values["change"])
    values = plain({"time": now.time, "values": now.values})
    kept = {"time": then.values["time"], "values": then.values["values"]}
    if old != (now.sample, now.change) or (exact and kept != values):
        differ(now.time, f"the decoder was {old[1]} ({kept}), is {now.change} ({values})")


def _compare_decode(then: RecordedDecode | None, now: Decode, exact: bool, differ: Differ) -> None:
    if then is None:
        differ(now.time, f"decode of token {now.token} was not recorded")
        return
    old = then.decode
    plain = [
        (name, getattr(old, name), getattr(now, name))
        for name in ("token", "sample", "time", "classes", *DECIDED, "reason", "decoder")
    ]
    for name, before, after in plain:
        if before != after and (exact or name not in ("time", *DECIDED)):
            differ(now.time, f"decode of token {now.token}: {name} was {before!r}, is {after!r}")
    same = (
        np.array_equal(old.p, now.p, equal_nan=True)
        if exact
        else np.allclose(old.p, now.p, rtol=0, atol=TOLERANCE_P, equal_nan=True)
    )
    if not same:
        differ(now.time, f"decode of token {now.token}: p was {old.p}, is {now.p}")


def _compare_forecast(
    then: RecordedForecast | None, now: Forecast, exact: bool, differ: Differ
) -> None:
    if then is None:
        differ(now.time, f"forecast of token {now.token} was not recorded")
        return
    if exact:
        if not then.same(now):
            differ(now.time, f"forecast of token {now.token} is another one")
        return
    published = now.mean[list(then.rows)].astype(np.float64)
    scale = np.nanmax(np.abs(published), initial=1.0)
    kept = then.published.astype(np.float64)
    if then.token != now.token or not np.allclose(
        kept, published, rtol=0, atol=TOLERANCE_UV * scale, equal_nan=True
    ):
        differ(now.time, f"forecast of token {now.token} is another one")
