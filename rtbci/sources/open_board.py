"""What is held while a BrainFlow board is open: its driver, its lock, and how it is set."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from rtbci.clock import Clock
from rtbci.errors import SourceError
from rtbci.locks import DeviceLock
from rtbci.sources import boards, driver, openbci, ports
from rtbci.sources.boards import Layout
from rtbci.sources.openbci import Identity
from rtbci.sources.ports import PortEntry
from rtbci.sources.stamps import WallClock
from rtbci.types import SourceClock, StreamInfo

RING_S = 60.0
"""How long rows wait for us in BrainFlow's ring before it drops the oldest."""
RING_BYTES = 64 << 20
TITLES = {
    openbci.CYTON: "OpenBCI Cyton",
    openbci.CYTON_DAISY: "OpenBCI Cyton with Daisy",
    openbci.GANGLION: "OpenBCI Ganglion",
}


@dataclass
class OpenBoard:
    """Made by ``BrainFlowSource.open``, dropped by ``close``.

    Attributes
    ----------
    shim : brainflow.board_shim.BoardShim
    board : str
        BrainFlow's name; ``board_id`` is its number.
    port : PortEntry | None
    gain : int
    locks : list of DeviceLock
        One, or none for a board that is no device.
    layout : Layout
    eight_channels : bool
        Whether a Daisy that is plugged in is left out.
    aux : str
        Pins that are read in place of the accelerometer (``boards.AUX_COMMANDS``); empty for none.
    broken : bool
        Whether the next rows follow a reconnection.
    newest : float
        When rows last came, seconds of the session's clock.
    """

    shim: Any
    board: str
    board_id: int
    port: PortEntry | None
    gain: int
    locks: list[DeviceLock]
    clock: Clock
    layout: Layout
    eight_channels: bool = False
    aux: str = ""
    broken: bool = False
    newest: float = 0.0
    wall: WallClock = field(init=False)
    ring_rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.wall = WallClock(self.clock)
        self.ring_rows = int(min(RING_S * self.layout.rate, RING_BYTES / 8 / self.layout.n_rows))

    def start(self) -> None:
        """Connect, set what is not the board's default, and let it stream."""
        try:
            self.shim.prepare_session()
            if self.eight_channels:
                # NB: else every second frame would be the Daisy's, taken for the Cyton's.
                self.shim.config_board("c")
            if self.gain != boards.DEFAULT_GAIN:
                command = boards.gain_command(self.layout.n_eeg, self.gain)
                answer = self.shim.config_board(command)
                if "Failure" in answer:
                    raise SourceError(
                        f"The board refuses gain {self.gain} ({answer.strip()!r}); switch it "
                        "off and on, or leave --gain out."
                    )
            if self.aux:
                answer = self.shim.config_board(boards.AUX_COMMANDS[self.aux])
                if "Success" not in answer:
                    raise SourceError(
                        f"The board does not read its {self.aux} pins ({answer.strip()!r}); they "
                        "need firmware 3.0 or later."
                    )
            self.wall.reset()
            self.shim.start_stream(self.ring_rows)
            self.newest = self.clock.now()
        except driver.load_brainflow().BrainFlowError as err:
            self.stop()
            raise SourceError(self.explain(err)) from err

    def configure(self, command: str, *, answered: bool) -> str:
        """Send commands in one string; to have them answered, the stream is stopped meanwhile."""
        try:
            if not answered:
                return str(self.shim.config_board(command))
            self.shim.stop_stream()
            if self.board in (openbci.CYTON, openbci.CYTON_DAISY):
                # NB: frames that were under way would stand before the first answer, and BrainFlow
                # can't turn them into text; whatever is asked now takes them away.
                with contextlib.suppress(UnicodeDecodeError):
                    self.shim.config_board(openbci.VERSION)
            answer = str(self.shim.config_board(command))
            self.wall.reset()
            self.shim.start_stream(self.ring_rows)
        except driver.load_brainflow().BrainFlowError as err:
            raise SourceError(self.explain(err)) from err
        self.broken, self.newest = True, self.clock.now()
        return answer

    def stop(self) -> None:
        """Stop and release the board; safe where it is gone or was never prepared."""
        driver.stop(self.shim)

    def release(self) -> None:
        """Let others have the device."""
        for lock in self.locks:
            lock.release()

    def rows_waiting(self) -> bool:
        """Tell whether rows have come that were not read."""
        try:
            return bool(self.shim.get_board_data_count())
        except driver.load_brainflow().BrainFlowError:
            return False

    def takes_bytes(self) -> bool:
        """Tell whether a Cyton's line is there; an unplugged one refuses to be written to."""
        try:
            self.shim.config_board("?")  # a Cyton that streams does not answer it
        except driver.load_brainflow().BrainFlowError:
            return False
        return True

    def explain(self, err: Exception) -> str:
        """Turn an error of BrainFlow into a sentence that says what to do."""
        path = self.port.path if self.port else None
        return driver.explain(err, self.board, boards.transport(self.board), path)

    def describe(self, identity: Identity | None) -> StreamInfo:
        """Describe the stream; ``device`` has ``notes``, sentences that the user should read."""
        shim = driver.load_brainflow().BoardShim
        facts: dict[str, Any] = {"board": self.board, "brainflow": shim.get_version()}
        notes = []
        if self.port is not None:
            facts["port"] = self.port.path
            if self.port.serial_number:
                facts["dongle"] = self.port.serial_number
            slow = ports.latency_problem(self.port.path)
            if slow:
                notes.append(f"{slow.what} Mend it with `{slow.remedy}`.")
        if self.board in boards.GAIN_BOARDS:
            facts["gain"] = self.gain
        if identity is not None and identity.firmware:
            facts["firmware"] = identity.firmware
        if self.eight_channels:
            notes.append(
                "A Daisy is plugged in, but the board was asked for as cyton: 8 channels at "
                "250 Hz; --board cyton_daisy gives 16 at 125 Hz."
            )
        notes += [
            f"The session that last held this board (pid {lock.stale.pid}) ended without closing "
            "it; `rtbci recover` mends its recording if it needs it."
            for lock in self.locks
            if lock.stale is not None
        ]
        facts["notes"] = notes
        counting = self.layout.counting
        title = TITLES.get(self.board, self.board.removesuffix(boards.SUFFIX).lower())
        return StreamInfo(
            name=f"{title} on {self.port.path}" if self.port else title,
            kind="brainflow",
            rate=self.layout.rate,
            channels=self.layout.channels,
            clock=SourceClock.HOST,
            counter_step=counting.step if counting else 1,
            counter_modulus=counting.modulus if counting else None,
            device=facts,
        )
