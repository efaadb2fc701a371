"""Live rows from any board that BrainFlow knows.

Concurrency: as in :mod:`rtbci.sources.base`.  BrainFlow reads the board in a thread of its own
into a ring; ``read`` takes what is there and never waits.

What BrainFlow does not say, and is seen to here or by the watchdog:

- an unplugged board raises nothing and only falls silent; ``reconnect`` brings it back;
- its stamps are the host's UNIX time at reception, so they are moved onto the session's clock
  and kept in order; they tell when rows came, not when they were sampled;
- its ring drops the oldest rows when it is full; a full ring is reported as a break;
- a port can be opened by two processes, which then get half the bytes each: ports that
  somebody holds are refused, and a lock keeps a second session away.

Markers: the timeline stamps those of the user.  BrainFlow's own ``insert_marker`` would attach
them to the next sample that arrives, later by the link's delay.  Markers that others put into
BrainFlow's marker row (a streaming board, a played file) are passed on as ``board`` markers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rtbci.clock import Clock
from rtbci.errors import BadInputError, SourceError
from rtbci.locks import DeviceLock
from rtbci.sources import boards, driver, openbci, ports
from rtbci.sources.open_board import OpenBoard
from rtbci.sources.openbci import Identity
from rtbci.sources.ports import PortEntry
from rtbci.types import Marker, RawChunk, StreamInfo

PATIENCE_S = 8.0
"""Silence after which a Cyton whose line still lives is started anew."""
ASKED = (openbci.CYTON, openbci.CYTON_DAISY)
"""Boards that are asked what they are before BrainFlow opens them."""
PLAYED = ("PLAYBACK_FILE_BOARD", "STREAMING_BOARD")
VIRTUAL = ("SYNTHETIC_BOARD", *PLAYED)


class BrainFlowSource:
    """A board, opened by its BrainFlow name.

    Parameters
    ----------
    board : str
        BrainFlow's name in any case, with or without ``_BOARD`` (``cyton``), or ``openbci`` to
        find an OpenBCI board and learn which it is.
    serial_port : str | None
        Where the board is.  The path is used as given: it may be a link that comes back after
        a replug, and no USB id is asked for.
    gain : int | None
        Of the amplifier, for boards where it can be set; None for its default (24).
    params : mapping of str to str
        BrainFlow's other parameters (``ip_address``, ``mac_address``, ``file``, ...).
    aux : str
        What a Cyton reads in place of its accelerometer: ``analog`` or ``digital`` pins.
    clock : Clock
        The session's.
    """

    def __init__(
        self,
        board: str,
        *,
        serial_port: str | None = None,
        gain: int | None = None,
        params: Mapping[str, str] | None = None,
        aux: str = "",
        clock: Clock,
    ) -> None:
        self._name = board
        self._serial_port = serial_port
        self._gain = gain
        self._params = dict(params or {})
        self._aux = aux
        self._clock = clock
        self._state: OpenBoard | None = None

    def open(self) -> StreamInfo:
        """Find, check and start the board.

        Raises
        ------
        BadInputError
            Unknown board or parameter, or a gain or pins that the board does not have.
        SourceError
            Missing, busy or forbidden port; silent board; no board found; Daisy missing.
        """
        self.close()
        wanted = None
        if self._name.strip().lower() != "openbci":
            wanted = boards.find_board_id(self._name)
            boards.check_gain(wanted.name, self._gain)
            boards.check_aux(wanted.name, self._aux)
        locks: list[DeviceLock] = []
        try:
            if self._serial_port is not None:
                # NB: before the board is asked anything, which would disturb another session.
                ports.require_present(self._serial_port)
                locks.append(self._lock(self._serial_port, ports.real_path(self._serial_port)))
            board, port, identity = self._find(wanted)
            if not locks and board.name not in VIRTUAL:
                address = " ".join([board.name, *sorted(self._params.values())])
                locks.append(
                    self._lock(port.path, ports.real_path(port.path))
                    if port is not None
                    else self._lock(self._name, address)
                )
            self._state = self._make(board, port, identity, locks)
            self._state.start()
        except BaseException:
            self.close()
            for lock in locks:
                lock.release()
            raise
        return self._state.describe(identity)

    def read(self) -> RawChunk:
        """Take what has come since the last call.

        Raises
        ------
        SourceError
            Where the board is not open, or BrainFlow refuses to give data.
        """
        state = self._require_open()
        try:
            data = state.shim.get_board_data()
        except driver.load_brainflow().BrainFlowError as err:
            raise SourceError(state.explain(err)) from err
        received = self._clock.now()
        times = state.wall.convert(data[state.layout.stamp_row], received)
        markers = tuple(
            Marker(float(times[i]), f"{data[state.layout.marker_row, i]:g}", origin="board")
            for i in np.flatnonzero(data[state.layout.marker_row])
        )
        counters = None
        if state.layout.counting is not None:
            counters = np.rint(data[state.layout.package_row]).astype(np.int64)
        n = data.shape[1]
        state.newest = received if n else state.newest
        broken = n > 0 and (state.broken or n >= state.ring_rows)
        state.broken = state.broken and n == 0
        return RawChunk(
            data=np.ascontiguousarray(data[list(state.layout.rows)].T, dtype=np.float32),
            times=times,
            received=received,
            counters=counters,
            markers=markers,
            breaks=(0,) if broken else (),
        )

    def configure(self, command: str, *, answered: bool = True) -> str:
        """Send the board's own commands, one or several in one string.

        Parameters
        ----------
        command : str
        answered : bool
            Stop the stream meanwhile, since a board that streams answers nothing: rows are lost,
            and a break follows.  It takes two seconds.

        Returns
        -------
        answer : str
            Of all commands; empty where there is none.

        Raises
        ------
        SourceError
            Where the board is not open, or does not take them.
        """
        return self._require_open().configure(command, answered=answered)

    def reconnect(self) -> None:
        """Try once to get a lost board back, on its old path or wherever it is plugged in now.

        A board that has delivered rows meanwhile was only late and is left alone.  A silent
        one whose line still takes bytes is waited for, :data:`PATIENCE_S` since its last rows:
        they may only be delayed, and starting again would throw them away.

        Raises
        ------
        SourceError
            Where it is not back yet.
        """
        if self._state is None:
            self.open()
            return
        state = self._state
        if state.rows_waiting():
            return
        silent_s = self._clock.now() - state.newest
        if state.board in ASKED and silent_s < PATIENCE_S and state.takes_bytes():
            raise SourceError(
                f"{self._name} is silent for {silent_s:.0f} s but still plugged in; it is started "
                f"anew when {PATIENCE_S:g} s have passed. Is it switched on and in reach?"
            )
        state.stop()
        state.broken = True
        if state.port is not None:
            path = ports.find_again(state.port) if self._serial_port is None else state.port.path
            ports.require_usable(path)
            if path != state.port.path:
                state.port = replace(state.port, path=path)
                made = self._input_params(path)
                state.shim = driver.load_brainflow().BoardShim(state.board_id, made)
            device = ports.real_path(path)
            if [lock.device for lock in state.locks] != [device]:
                state.release()
                state.locks[:] = [self._lock(path, device)]
            if state.board in ASKED:
                openbci.require_match(state.board, openbci.identify(path), path)
        state.start()

    def close(self) -> None:
        """Stop the board and let go of it; safe to call twice and after a failed ``open``."""
        state, self._state = self._state, None
        if state is not None:
            state.stop()
            state.release()

    def _input_params(self, path: str | None) -> Any:
        params = dict(self._params)
        if "master_board" in params:
            params["master_board"] = str(int(boards.find_board_id(params["master_board"])))
        return driver.input_params(path, params)

    def _find(self, wanted: Any) -> tuple[Any, PortEntry | None, Identity | None]:
        """Which board it is, where, and how it described itself if it was asked."""
        if wanted is None:
            port, identity = openbci.locate(None, self._serial_port)
            assert identity is not None
            board = boards.find_board_id(identity.board)
            boards.check_gain(board.name, self._gain)
            boards.check_aux(board.name, self._aux)
            return board, port, identity
        if wanted.name in (*ASKED, openbci.GANGLION):
            return wanted, *openbci.locate(wanted.name, self._serial_port)
        if self._serial_port is None:
            return wanted, None, None
        ports.require_usable(self._serial_port)
        return wanted, PortEntry(self._serial_port), None

    def _lock(self, name: str, device: str) -> DeviceLock:
        lock = DeviceLock(device, name)
        lock.acquire(f"a session on {self._name}")
        return lock

    def _make(
        self,
        board: Any,
        port: PortEntry | None,
        identity: Identity | None,
        locks: list[DeviceLock],
    ) -> OpenBoard:
        """Make BrainFlow's object and say which of its rows become what."""
        shim = driver.load_brainflow()
        made = self._input_params(port.path if port else None)
        source = shim.BoardIds(made.master_board) if board.name in PLAYED else board
        if source.name in (*PLAYED, "NO_BOARD"):
            raise BadInputError(
                f"{self._name} plays what another board sent and must know which: add "
                "--board-param master_board=NAME."
            )
        gain = self._gain or boards.DEFAULT_GAIN
        return OpenBoard(
            shim=shim.BoardShim(board, made),
            board=board.name,
            board_id=int(board),
            port=port,
            gain=gain,
            locks=locks,
            clock=self._clock,
            layout=boards.lay_out(source.name, shim.BoardShim.get_board_descr(source), gain),
            eight_channels=board.name == openbci.CYTON
            and identity is not None
            and identity.board == openbci.CYTON_DAISY,
            aux=self._aux,
        )

    def _require_open(self) -> OpenBoard:
        if self._state is None:
            raise SourceError(f"The board {self._name} is not open; call open() first.")
        return self._state
