"""An OpenBCI Cyton, or Cyton with Daisy, emulated on a pty in a process of its own.

For tests::

    with CytonEmulator(daisy=False, rate=250.0, seed=0) as board:
        source = BrainFlowSource("cyton", serial_port=board.port, clock=MonotonicClock())
        board.lose(fraction=0.01)
        board.unplug()
        board.replug()
        board.truth().lost

For people: ``python tests/simulators/cyton.py --daisy --loss 0.01`` prints the port's path on
its first line and then takes commands from stdin, one a line: ``lose fraction=0.01``,
``lose ahead=[100,101]``, ``corrupt ahead=[200] byte=32``, ``burst period_s=0.02``,
``stall seconds=3``, ``silence on=true``, ``power on=false``, ``unplug``, ``replug``, ``truth``,
``quit``.  Each is answered by one line of JSON.

Frames leave on an absolute schedule (frame n at start + n / rate), so that the rate is true and
does not drift; a frame that is late for any reason is followed at once by those that are due.
The port's path is a link: after ``replug`` a new pty lies behind the same path.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pty
import random
import select
import subprocess
import sys
import tempfile
import time
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from cyton_firmware import FRAME_BYTES, Firmware

OUTBOX_BYTES = 1 << 20
"""Frames that wait for a reader; more than two minutes, then the newest are dropped."""
HANG_UP_POLL_S = 0.005
"""How often a closed port is asked whether somebody has opened it."""


@dataclass
class Truth:
    """What really happened, by frame number (a frame is a row, with a Daisy half a row).

    Attributes
    ----------
    starts : list of int
        First frame of each stream (the board was told ``b``).
    newest : int
        Number of the newest frame that was made, -1 before the first.
    lost : list of int
        Frames that the radio lost.
    corrupted : list of (int, int)
        Frame and the position of the byte that was flipped.
    undelivered : list of [int, int]
        Ranges (first, stop) of frames made while nobody had the port open.
    """

    starts: list[int] = field(default_factory=list)
    newest: int = -1
    lost: list[int] = field(default_factory=list)
    corrupted: list[tuple[int, int]] = field(default_factory=list)
    undelivered: list[list[int]] = field(default_factory=list)

    def miss(self, frame: int) -> None:
        """Note a frame that no host was there for."""
        if self.undelivered and self.undelivered[-1][1] == frame:
            self.undelivered[-1][1] = frame + 1
        else:
            self.undelivered.append([frame, frame + 1])


@dataclass
class Faults:
    """What goes wrong on the way, on demand; drawn by seed and frame number, so repeatable."""

    seed: int = 0
    lose_fraction: float = 0.0
    lose_at: set[int] = field(default_factory=set)
    corrupt_fraction: float = 0.0
    corrupt_at: set[int] = field(default_factory=set)
    corrupt_byte: int | None = None
    burst_s: float = 0.0
    stalled_until: float = 0.0

    def loses(self, frame: int) -> bool:
        """Whether the radio loses this frame."""
        return frame in self.lose_at or self._draw("lose", frame) < self.lose_fraction

    def corrupts(self, frame: int) -> int | None:
        """Choose the byte of this frame to flip, if any."""
        if frame not in self.corrupt_at and self._draw("corrupt", frame) >= self.corrupt_fraction:
            return None
        if self.corrupt_byte is not None:
            return self.corrupt_byte
        return int(self._draw("byte", frame) * FRAME_BYTES)

    def _draw(self, what: str, frame: int) -> float:
        return random.Random(f"{self.seed} {what} {frame}").random()


class Line:
    """The pty behind a link: what the host takes for a serial port."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = -1
        self.plug()

    def plug(self) -> None:
        """Make a new pty appear behind the link."""
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self.master, False)
        fresh = self.link.with_suffix(".new")
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self.link)
        # NB: kept closed, so that the host's processes alone hold the port, as with hardware.
        os.close(slave)

    def unplug(self) -> None:
        """Vanish, as a dongle does that is pulled out."""
        self.link.unlink(missing_ok=True)
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    @property
    def held(self) -> bool:
        """Whether a host has the port open."""
        if self.master < 0:
            return False
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        return not any(events & select.POLLHUP for _, events in poll.poll(0))

    def read(self) -> bytes:
        """Take what the host has written."""
        try:
            return os.read(self.master, 4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        """Bytes that the host's buffer had room for."""
        try:
            return os.write(self.master, data)
        except OSError:
            return 0


class Process:
    """The emulator's loop: commands in from the host and the parent, frames out when due."""

    def __init__(self, firmware: Firmware, faults: Faults, line: Line) -> None:
        self.board = firmware
        self.faults = faults
        self.line = line
        self.truth = Truth()
        self.t0 = time.monotonic()
        self.next = 0
        self.outbox: deque[tuple[int, bytes]] = deque()
        self.waiting = 0
        self.burst_at = 0.0
        self.running = True

    def run(self, until_eof: bool) -> None:
        """Serve until told to quit (or, with ``until_eof``, until stdin ends)."""
        control: int | None = sys.stdin.fileno()
        typed = b""
        while self.running:
            held = self.line.held
            self._make(time.monotonic(), held)
            self._deliver(time.monotonic(), held)
            fds = [fd for fd in (control, self.line.master if held else None) if fd is not None]
            ready, _, _ = select.select(fds, [], [], self._pause(time.monotonic(), held))
            if control in ready:
                data = os.read(sys.stdin.fileno(), 4096)
                if not data:
                    control, self.running = None, not until_eof
                *lines, typed = (typed + data).split(b"\n")
                for text in lines:
                    print(json.dumps(self.command(text.decode())), flush=True)  # noqa: T201
            if self.line.master in ready:
                answer = self.board.receive(self.line.read(), self._upcoming())
                self.waiting += len(answer)
                self.outbox.append((-1, answer))

    def command(self, text: str) -> dict[str, Any]:
        """Carry out one line of control: a verb and ``key=value`` with JSON values."""
        verb, *rest = text.split()
        verbs: dict[str, Callable[..., dict[str, Any] | None]] = {
            "lose": self._lose, "corrupt": self._corrupt, "burst": self._burst,
            "stall": self._stall, "silence": self._silence, "power": self._power,
            "unplug": self.line.unplug, "replug": self.line.plug, "quit": self._quit,
            "truth": lambda: asdict(self.truth), "heard": lambda: {"hex": self.board.heard.hex()},
            "driven": lambda: {"channels": [i for i, on in enumerate(self.board.driven) if on]},
            "electrodes": self._electrodes, "light": self._light,
        }  # fmt: skip
        try:
            options = {k: json.loads(v) for k, v in (item.split("=", 1) for item in rest)}
            return {"ok": True, **(verbs[verb](**options) or {})}
        except (KeyError, ValueError, TypeError, OSError) as err:
            return {"ok": False, "error": f"{text!r}: {err!r}"}

    def _upcoming(self) -> int:
        """Return the number of the first frame that is not due yet."""
        return max(self.next, int((time.monotonic() - self.t0) * self.board.rate) + 1)

    def _make(self, now: float, held: bool) -> None:
        """Make every frame that is due."""
        due = int((now - self.t0) * self.board.rate)
        if not self.board.streaming:
            self.next = max(self.next, due + 1)
            return
        self.next = max(self.next, self.board.first)
        while self.next <= due:
            number, self.next = self.next, self.next + 1
            if number == self.board.first:
                self.truth.starts.append(number)
            self.truth.newest = number
            if self.faults.loses(number):
                self.truth.lost.append(number)
            elif not held or self.waiting > OUTBOX_BYTES:
                self.truth.miss(number)
            else:
                frame = bytearray(self.board.frame(number))
                flip = self.faults.corrupts(number)
                if flip is not None:
                    frame[flip] ^= 0xFF
                    self.truth.corrupted.append((number, flip))
                self.outbox.append((number, bytes(frame)))
                self.waiting += len(frame)

    def _deliver(self, now: float, held: bool) -> None:
        """Hand over what waits, unless a fault holds it back."""
        if not held:
            for number, _ in self.outbox:
                if number >= 0:
                    self.truth.miss(number)
            self.outbox.clear()
            self.waiting = 0
            return
        if now < self.faults.stalled_until or (self.faults.burst_s and now < self.burst_at):
            return
        self.burst_at = now + self.faults.burst_s
        while self.outbox:
            number, data = self.outbox.popleft()
            taken = self.line.write(data)
            self.waiting -= taken
            if taken < len(data):
                self.outbox.appendleft((number, data[taken:]))
                return

    def _pause(self, now: float, held: bool) -> float:
        """Seconds until something is due."""
        pause = 0.2 if held else HANG_UP_POLL_S
        if self.board.streaming:
            pause = min(pause, self.t0 + self.next / self.board.rate - now)
        if self.outbox:
            pause = min(pause, max(self.burst_at, self.faults.stalled_until, now + 0.001) - now)
        return max(0.0, pause)

    def _lose(self, fraction: float = 0.0, ahead: list[int] | None = None) -> dict[str, Any]:
        self.faults.lose_fraction = fraction
        at = self._ahead(ahead)
        self.faults.lose_at.update(at)
        return {"at": at}

    def _corrupt(
        self, fraction: float = 0.0, ahead: list[int] | None = None, byte: int | None = None
    ) -> dict[str, Any]:
        self.faults.corrupt_fraction = fraction
        at = self._ahead(ahead)
        self.faults.corrupt_at.update(at)
        self.faults.corrupt_byte = byte
        return {"at": at}

    def _ahead(self, steps: list[int] | None) -> list[int]:
        """Numbers of frames so far behind the newest even one; none of them is made yet."""
        newest = self.truth.newest // 2 * 2
        return [newest + step for step in steps or () if step > 1]

    def _burst(self, period_s: float = 0.0) -> None:
        self.faults.burst_s = period_s

    def _stall(self, seconds: float) -> None:
        self.faults.stalled_until = time.monotonic() + seconds

    def _silence(self, on: bool = True) -> None:
        self.board.silent = on

    def _power(self, on: bool = True) -> None:
        self.board.powered = on
        self.board.streaming = self.board.streaming and on

    def _electrodes(self, ohms: list[float] | None = None, sticks: bool = False) -> None:
        self.board.sticks = sticks
        for channel, ohm in enumerate(ohms or []):
            self.board.ohms[channel] = ohm

    def _light(self, on: bool, after_s: float = 0.0) -> None:
        at = time.monotonic() + after_s - self.t0
        self.board.lights.append((math.ceil(at * self.board.rate), on))

    def _quit(self) -> None:
        self.running = False


class CytonEmulator:
    """The parent's handle on an emulator's process; every method returns once it is done.

    Parameters
    ----------
    daisy : bool
        Whether a Daisy is plugged in.
    rate : float
        Frames a second (a row of a Daisy takes two).
    seed : int
        Of losses and corruption.
    """

    port: str
    """Path to open; a link that stays the same over ``replug``."""

    def __init__(self, *, daisy: bool = False, rate: float = 250.0, seed: int = 0) -> None:
        self._arguments = [f"--rate={rate}", f"--seed={seed}", *(["--daisy"] if daisy else [])]

    def __enter__(self) -> CytonEmulator:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--until-eof", *self._arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate("quit\n")

    @property
    def pid(self) -> int:
        """Process id, for a test that stops or kills the emulator itself."""
        return self._process.pid

    def lose(self, *, fraction: float = 0.0, ahead: list[int] | None = None) -> list[int]:
        """From now on the radio loses this fraction of the frames, and those ``ahead``.

        Gives the numbers of the latter, which count from the newest even frame.
        """
        answer = self._ask("lose", fraction=fraction, ahead=ahead or [])
        return list(answer["at"])

    def corrupt(
        self, *, fraction: float = 0.0, ahead: list[int] | None = None, byte: int | None = None
    ) -> list[int]:
        """From now on one byte is flipped in this fraction of frames, and in those ``ahead``.

        Gives the numbers of the latter, as :meth:`lose` does.
        """
        answer = self._ask("corrupt", fraction=fraction, ahead=ahead or [], byte=byte)
        return list(answer["at"])

    def burst(self, period_s: float) -> None:
        """Deliver frames in bunches, as USB does; 0 delivers each at once."""
        self._ask("burst", period_s=period_s)

    def stall(self, seconds: float) -> None:
        """Hold all frames back for so long (0 ends it), then deliver the backlog."""
        self._ask("stall", seconds=seconds)

    def silence(self, on: bool = True) -> None:
        """Answer nothing at all."""
        self._ask("silence", on=on)

    def power(self, on: bool) -> None:
        """Switch the board off or on; its dongle stays and says so."""
        self._ask("power", on=on)

    def unplug(self) -> None:
        """Pull the dongle out; the board goes on by itself."""
        self._ask("unplug")

    def replug(self) -> None:
        """Put the dongle back: another pty behind the same path."""
        self._ask("replug")

    def truth(self) -> Truth:
        """Ask what happened so far."""
        answer = self._ask("truth")
        answer["corrupted"] = [(frame, byte) for frame, byte in answer["corrupted"]]
        return Truth(**answer)

    def electrodes(self, *ohms: float, sticks: bool = False) -> None:
        """Set impedances; a current that ``sticks`` stays on although it is told off."""
        self._ask("electrodes", ohms=list(ohms), sticks=sticks)

    def light(self, on: bool, *, after_s: float = 0.0) -> None:
        """Switch the light on the photodiode, so much later; it lies in the board's aux bytes."""
        self._ask("light", on=on, after_s=after_s)

    def driven(self) -> list[int]:
        """Channels, from 0, through which the lead-off test drives its current now."""
        return list(self._ask("driven")["channels"])

    def heard(self) -> bytes:
        """Every byte that hosts have sent."""
        return bytes.fromhex(self._ask("heard")["hex"])

    def _ask(self, verb: str, **options: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [verb, *(f"{k}={json.dumps(v).replace(' ', '')}" for k, v in options.items())]
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if not answer.pop("ok"):
            raise RuntimeError(f"the emulator refused {answer['error']}")
        return answer


def main() -> None:
    """Emulate a board until told to quit."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--daisy", action="store_true", help="plug a Daisy in")
    parser.add_argument("--rate", type=float, default=250.0, help="frames a second")
    parser.add_argument("--loss", type=float, default=0.0, help="fraction of frames lost")
    parser.add_argument("--corrupt", type=float, default=0.0, help="fraction of frames corrupted")
    parser.add_argument("--burst", type=float, default=0.0, help="seconds between deliveries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--link", type=Path, help="path of the port (a link; default: temporary)")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin does")
    args = parser.parse_args()
    faults = Faults(args.seed, args.loss, corrupt_fraction=args.corrupt, burst_s=args.burst)
    with tempfile.TemporaryDirectory(prefix="cyton-") as folder:
        line = Line(args.link or Path(folder) / "ttyCyton")
        print(line.link, flush=True)  # noqa: T201
        try:
            Process(Firmware(args.daisy, args.rate), faults, line).run(args.until_eof)
        except KeyboardInterrupt:
            pass
        finally:
            line.unplug()


if __name__ == "__main__":
    main()
