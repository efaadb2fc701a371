"""What a session can be started on: boards, LSL streams, a FieldTrip buffer, files, the simulator.

:class:`Scanner` looks in threads of its own: serial ports take milliseconds, LSL a second.  What
it finds is taken by :meth:`Scanner.found` from the window's thread; nothing waits for it.

Boards are not asked what they are here: a question is written to the port, which may be another
device's.  The engine asks once it is told to connect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rtbci.apps.settings import RunSettings, SourceSettings, host_port
from rtbci.errors import BadInputError, RtbciError
from rtbci.montage import MONTAGES, parse_montage

FoundKind = Literal["board", "lsl", "fieldtrip", "replay", "simulator"]

AUTO_BOARD = "openbci"
"""The board that finds out by itself whether it is a Cyton, a Daisy or a Ganglion."""
LSL_WAIT_S = 1.0
PAUSE_S = 2.0
"""From one look to the next."""
RECORDINGS = 12
"""So many of the newest are listed."""
FILES = (".vhdr", ".edf", ".bdf", ".gdf", ".xdf", ".fif", ".set", ".csv", ".txt")
"""What can be replayed beside recordings of ours (folders)."""


@dataclass(frozen=True)
class Found:
    """Something that a session can be started on.

    Attributes
    ----------
    kind : str
    name : str
        As the option of the command line takes it: a port, a stream, a path.
    title : str
        For people.
    detail : str
        What is known of it, in a few words.
    problem : str
        Why it can't be used now, and what mends it; empty where it can.
    n_channels : int | None
        Where it says.
    """

    kind: FoundKind
    name: str
    title: str
    detail: str = ""
    problem: str = ""
    n_channels: int | None = None

    @property
    def key(self) -> str:
        """Tells it from others over several looks."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Choice:
    """What the source panel was told, not yet checked.

    Attributes
    ----------
    found : Found | None
    board : str
        Of a serial port: ``openbci``, or a board of BrainFlow's.
    params : str
        BrainFlow's input parameters, ``KEY=VALUE`` with blanks between.
    montage, subject, record, classes, osc, fieldtrip : str
        As typed; empty where not.
    line_hz : float | None
        Mains frequency; None for both.
    lsl_out : bool
    """

    found: Found | None = None
    board: str = AUTO_BOARD
    params: str = ""
    montage: str = ""
    subject: str = ""
    record: str = ""
    classes: str = ""
    osc: str = ""
    fieldtrip: str = ""
    line_hz: float | None = None
    lsl_out: bool = False


def run_settings(choice: Choice, base: RunSettings | None = None) -> RunSettings:
    """Turn a choice into a session's settings.

    Raises
    ------
    BadInputError
        With what can't be read, its value and the remedy.
    """
    if choice.found is None:
        raise BadInputError("nothing is chosen yet; choose a source on the left.")
    if choice.found.problem:
        raise BadInputError(choice.found.problem)
    base = base or RunSettings()
    if choice.montage.strip():
        names = parse_montage(choice.montage)
        _check_number(names, choice.found)
    if choice.osc.strip():
        host_port(choice.osc.strip(), "OSC")
    if choice.classes.strip():
        from rtbci.classes import parse_classes

        parse_classes(choice.classes.strip())
    session = base.session
    if choice.line_hz is not None:
        session = replace(
            session, preprocess=replace(session.preprocess, line_hz=(choice.line_hz,))
        )
    return replace(
        base,
        source=_source(choice, base.source),
        session=session,
        montage=choice.montage.strip() or None,
        subject=choice.subject.strip() or None,
        record=choice.record.strip() or None,
        classes=choice.classes.strip() or None,
        osc=choice.osc.strip() or None,
        lsl_out=choice.lsl_out,
    )


def _check_number(names: Sequence[str], found: Found) -> None:
    n = found.n_channels
    if n is not None and len(names) != n and found.kind != "simulator":
        raise BadInputError(
            f"the montage has {len(names)} names but {found.title} has {n} channels; give one "
            "name a channel, with - for an unused one."
        )


def _source(choice: Choice, base: SourceSettings) -> SourceSettings:
    found = choice.found
    assert found is not None
    plain = SourceSettings(seed=base.seed)
    if found.kind == "simulator":
        return plain
    if found.kind == "lsl":
        return replace(plain, kind="lsl", name=found.name)
    if found.kind == "replay":
        return replace(plain, kind="replay", name=found.name)
    if found.kind == "fieldtrip":
        host, port = host_port(choice.fieldtrip.strip(), "the FieldTrip buffer")
        return replace(plain, kind="fieldtrip", name=f"{host}:{port}")
    params = tuple(choice.params.split())
    for pair in params:
        if not all(pair.partition("=")):
            raise BadInputError(
                f"a board's parameter is KEY=VALUE (as in mac_address=...), got {pair!r}."
            )
    path = found.name or None
    return replace(plain, kind="board", name=choice.board, serial_port=path, params=params)


def find_boards() -> list[Found]:
    """Serial ports that may be a board, with why one can't be used."""
    from rtbci.sources.ports import candidates

    return [
        Found(
            "board",
            port.path,
            port.guess.rstrip("?") or port.description or "serial port",
            port.path,
            " ".join(f"{p.what} {p.remedy}" for p in port.problems if "latency" not in p.what),
        )
        for port in candidates()
    ]


def find_streams() -> list[Found]:
    """LSL streams that are signals."""
    from rtbci.sources.lsl_network import list_streams

    return [
        Found(
            "lsl",
            stream.source_id or stream.name,
            stream.name,
            f"{stream.type or 'no type'} · {stream.n_channels} ch · {stream.rate:g} Hz · "
            f"{stream.host or 'unnamed host'}",
            n_channels=stream.n_channels,
        )
        for stream in list_streams(LSL_WAIT_S)
        if stream.regular and not stream.name.startswith("rtbci-")
    ]


def find_recordings(folder: Path) -> list[Found]:
    """Recordings in a folder, the newest first."""
    try:
        entries = [(p.stat().st_mtime, p) for p in folder.iterdir() if _replayable(p)]
    except OSError:
        return []
    newest = sorted(entries, reverse=True)[:RECORDINGS]
    return [Found("replay", str(p), p.stem if p.is_file() else p.name, _size(p)) for _, p in newest]


def simulator() -> Found:
    """The simulated subject, who is always there."""
    return Found("simulator", "simulator", "", "", n_channels=None)


def preset_for(n_channels: int) -> list[str]:
    """Names of the montages that have so many channels; all where it is not known (0)."""
    return [n for n, names in MONTAGES.items() if not n_channels or len(names) == n_channels]


@dataclass
class ScanState:
    """What the looking threads have found.

    Attributes
    ----------
    boards, streams : list of Found
    problem : str
        Why the last look at LSL failed.
    looks : int
        How many looks there were.
    """

    boards: list[Found] = field(default_factory=list)
    streams: list[Found] = field(default_factory=list)
    problem: str = ""
    looks: int = 0


class Scanner:
    """Looks for boards and streams again and again, in threads, until it is closed.

    Parameters
    ----------
    boards, streams : callable
        Give what is there; may take a second, may raise :class:`RtbciError`.
    pause_s : float
        Between looks.
    """

    def __init__(
        self,
        boards: Callable[[], list[Found]] = find_boards,
        streams: Callable[[], list[Found]] = find_streams,
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._again = threading.Event()
        self._pause_s = pause_s
        self._looks: dict[str, Callable[[], list[Found]]] = {"boards": boards, "streams": streams}
        self._state = ScanState()
        self._threads = [
            threading.Thread(target=self._look, args=(name,), name=f"rtbci-{name}", daemon=True)
            for name in self._looks
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def found(self) -> ScanState:
        """Give what is there by now; never waits."""
        with self._lock:
            state = self._state
            return replace(state, boards=list(state.boards), streams=list(state.streams))

    def refresh(self) -> None:
        """Look again at once."""
        self._again.set()

    def close(self) -> None:
        """Look no more; a look that is under way ends by itself within a second or two."""
        self._stop.set()
        self._again.set()

    def join(self) -> None:
        """Wait until the last look has ended."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _look(self, name: str) -> None:
        while not self._stop.is_set():
            problem, there = "", None
            try:
                there = self._looks[name]()
            except RtbciError as err:
                problem = str(err)
            with self._lock:
                if there is not None:
                    setattr(self._state, name, there)
                if name == "streams":
                    self._state.problem = problem
                self._state.looks += 1
            self._again.wait(self._pause_s)
            if not self._stop.is_set():
                self._again.clear()


def _replayable(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return any(path.glob("*.vhdr")) or any(path.glob("*/*.vhdr"))
    return path.suffix.lower() in FILES


def _size(path: Path) -> str:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    megabytes = sum(p.stat().st_size for p in files) / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 100 else f"{megabytes:.0f} MB"
