"""Which LSL streams are on the network, and what of this machine's set-up concerns LSL.

Nothing here is fast: discovery waits for answers, half a second at least.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtbci.errors import BadInputError, SourceError
from rtbci.liblsl import load_pylsl
from rtbci.sources.ports import Problem

SETTLE_S = 0.5
"""After the first answer, how long others that match may still answer."""
CONFIG_NAME = "lsl_api.cfg"
FORMATS = ("undefined", "float32", "double64", "string", "int32", "int16", "int8", "int64")


@dataclass(frozen=True)
class StreamEntry:
    """One stream that answers.

    Attributes
    ----------
    name, type, source_id, host : str
        As its sender states them; ``source_id`` may be empty.
    n_channels : int
    rate : float
        Nominal, Hz; 0 for an irregular stream.
    format : str
        ``float32``, ``string``, ...
    uid : str
        Of this run of the sender.
    """

    name: str
    type: str
    source_id: str
    host: str
    n_channels: int
    rate: float
    format: str
    uid: str

    def describe(self) -> str:
        """Tell the stream in a few words."""
        pace = f"{self.rate:g} Hz" if self.rate else "irregular"
        known = f", source_id {self.source_id!r}" if self.source_id else ""
        return (
            f"{self.name!r} ({self.type or 'no type'}, {self.n_channels} x {self.format}, "
            f"{pace}{known}, on {self.host or 'an unnamed host'})"
        )

    @property
    def regular(self) -> bool:
        """Whether it is a signal: numbers at a rate."""
        return self.rate > 0 and self.format != "string"


def entry(info: Any) -> StreamEntry:
    """Take the core facts of a ``pylsl.StreamInfo``."""
    return StreamEntry(
        name=info.name(),
        type=info.type(),
        source_id=info.source_id(),
        host=info.hostname(),
        n_channels=info.channel_count(),
        rate=info.nominal_srate(),
        format=FORMATS[info.channel_format()],
        uid=info.uid(),
    )


def list_streams(wait_s: float = 1.0) -> list[StreamEntry]:
    """List the streams that answer within ``wait_s`` seconds, sorted by name."""
    pylsl = load_pylsl()

    found = {e.uid: e for e in map(entry, pylsl.resolve_streams(wait_s))}
    return sorted(found.values(), key=lambda e: (e.name, e.type, e.source_id))


def predicate(wanted: str) -> str:
    """XPath predicate for streams whose name, type or source_id is ``wanted``."""
    literal = _literal(wanted)
    return f"name={literal} or type={literal} or source_id={literal}"


def find(wanted: str, timeout_s: float, *, signal: bool) -> Any:
    """Find the one stream that is meant.

    Parameters
    ----------
    wanted : str
        Its name, type or source_id.
    timeout_s : float
        How long to wait for it.
    signal : bool
        True for samples at a rate, False for markers.

    Returns
    -------
    info : pylsl.StreamInfo
        Without its description.

    Raises
    ------
    SourceError
        Where nothing answers to it; the sentence lists what does answer.
    BadInputError
        Where several streams do, or ``wanted`` is empty.
    """
    pylsl = load_pylsl()

    if not wanted.strip():
        raise BadInputError("an LSL stream needs a name, a type or a source_id; got an empty one.")
    query = predicate(wanted)
    first = pylsl.resolve_bypred(query, 1, timeout_s)
    if not first:
        raise SourceError(_nobody(wanted, timeout_s))
    return choose(wanted, pylsl.resolve_bypred(query, 1000, SETTLE_S) or first, signal=signal)


def choose(wanted: str, found: Sequence[Any], *, signal: bool) -> Any:
    """Pick the one stream that is meant: by source_id before name before type.

    Raises
    ------
    BadInputError
        Where several streams are meant alike.
    """
    streams = {info.uid(): info for info in found}
    entries = {uid: entry(info) for uid, info in streams.items()}
    # NB: a sender may give all its streams one source_id; only some can be what is asked for.
    fit = {uid: e for uid, e in entries.items() if e.regular is signal} or entries
    for key in ("source_id", "name", "type"):
        matching = [uid for uid, e in fit.items() if getattr(e, key) == wanted]
        if len(matching) == 1:
            return streams[matching[0]]
        if matching:
            listed = "; ".join(sorted(fit[uid].describe() for uid in matching))
            raise BadInputError(
                f"{len(matching)} LSL streams have the {key} {wanted!r}, and one must be meant: "
                f"{listed}. Name it by what sets it apart (its source_id or name)."
            )
    raise SourceError(f"the LSL stream {wanted!r} went away while it was looked up; try again.")


def lsl_problems() -> list[Problem]:
    """Say what of this machine's set-up changes or hinders LSL, for ``rtbci doctor``."""
    problems = []
    local = Path.cwd() / CONFIG_NAME
    if local.is_file():
        problems.append(
            Problem(
                f"LSL silently takes its settings (ports, groups, known peers) from {local}, "
                "because programs started in this folder find it there",
                f"mv {CONFIG_NAME} {CONFIG_NAME}.off  # or start rtbci in another folder",
            )
        )
    for variable, content in (("LSLAPICFG", "settings"), ("PYLSL_LIB", "library")):
        path = os.environ.get(variable)
        if path and not Path(path).is_file():
            problems.append(
                Problem(
                    f"{variable} names {path} as LSL's {content}, but there is no such file",
                    f"unset {variable}",
                )
            )
    if not _discovers():
        problems.append(
            Problem(
                "a stream of this machine can't be discovered by this machine: a firewall stops "
                "LSL's multicast, or no network interface carries it",
                "sudo ufw allow 16571:16604/udp && sudo ufw allow 16572:16604/tcp",
            )
        )
    return problems


def _discovers(timeout_s: float = 3.0) -> bool:
    """Whether an outlet of this process is found by name."""
    pylsl = load_pylsl()

    name = f"rtbci-doctor-{os.getpid()}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "test", 1, 0.0, "float32", name))
    found = pylsl.resolve_byprop("name", name, 1, timeout_s)
    del outlet
    return bool(found)


def _nobody(wanted: str, timeout_s: float) -> str:
    others = list_streams(SETTLE_S)
    if not others:
        return (
            f"no LSL stream {wanted!r} answered within {timeout_s:g} s, and no other one did: is "
            "the sender on, on the same network, and not behind a firewall (rtbci doctor)?"
        )
    listed = "; ".join(e.describe() for e in others[:10])
    return (
        f"no LSL stream has the name, type or source_id {wanted!r} (waited {timeout_s:g} s); "
        f"these answer: {listed}. Start the sender or name one of them."
    )


def _literal(text: str) -> str:
    """Quote a string for XPath 1.0, which knows no escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    parts = ', "\'", '.join(f"'{part}'" for part in text.split("'"))
    return f"concat({parts})"
