"""Serial ports: which there are, who may open them, who holds them, how fast they answer.

Everything about serial ports that differs between systems stands here:

========  =====================  ===========================  =================================
system    names                  who holds a port             latency timer of FTDI
========  =====================  ===========================  =================================
Linux     ttyUSB*, ttyACM*       /proc/*/fd                   sysfs, 16 ms unless changed
macOS     cu.usbserial*, cu.usb  lsof                         BrainFlow sets 1 ms when it opens
          modem*
Windows   COM*                   the system opens ports       BrainFlow sets 1 ms in the registry
                                 exclusively, and names none
========  =====================  ===========================  =================================
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rtbci.errors import SourceError

FTDI_DONGLE = "0403:6015"
"""FT231X: the dongle of a Cyton, but of many other devices too."""
BLED112_DONGLE = "2458:0001"
"""Bluegiga BLED112: the Bluetooth dongle that a Ganglion is reached through."""
USUAL_NAMES = ("ttyUSB", "ttyACM", "cu.usbserial", "cu.usbmodem", "cu.OpenBCI", "COM")
LATENCY_MS = 1
"""What the FTDI latency timer should be; more makes samples arrive in bunches."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about this machine that stands in the way.

    Attributes
    ----------
    what : str
        What is wrong and what it does, as a sentence.
    remedy : str
        The command that mends it.
    """

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A serial port of this machine.

    Attributes
    ----------
    path : str
        As ``--serial-port`` takes it.
    description : str
        As its driver describes it.
    usb : str | None
        Vendor and product, ``0403:6015``; None where it is no USB device or can't be told.
    serial_number : str | None
        Of the USB device: the same after it was plugged in elsewhere.
    guess : str
        What it is likely to be, empty where nothing is known.
    problems : tuple of Problem
        Why it can't be used well now.
    """

    path: str
    description: str = ""
    usb: str | None = None
    serial_number: str | None = None
    guess: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str


class _ListedPort(Protocol):
    """What is used of pyserial's ListPortInfo."""

    device: str
    description: str | None
    vid: int | None
    pid: int | None
    serial_number: str | None


def list_ports() -> list[PortEntry]:
    """All serial ports of this machine, with what can be said of each."""
    from serial.tools.list_ports import comports

    listed: list[_ListedPort] = sorted(comports(), key=lambda port: str(port.device))
    return [_entry(port) for port in listed]


def candidates() -> list[PortEntry]:
    """Ports that may be an OpenBCI board, the likeliest first.

    Those with the USB id of a dongle come first.  Ports whose id can't be told (a container
    without sysfs) follow where they have a usual name; known devices of other kinds never do,
    so that nobody's other instruments are written to.
    """
    ports = list_ports()
    known = [p for p in ports if p.usb in (FTDI_DONGLE, BLED112_DONGLE)]
    unknown = [p for p in ports if p.usb is None and Path(p.path).name.startswith(USUAL_NAMES[:-1])]
    return known + unknown


def find_again(entry: PortEntry) -> str:
    """Return the path where a USB device is now; it may change while it is unplugged."""
    if entry.serial_number is None:
        return entry.path
    same = [p.path for p in list_ports() if p.serial_number == entry.serial_number]
    return same[0] if same and entry.path not in same else entry.path


def require_present(path: str) -> None:
    """Check that a port is there and that this user may open it.

    Raises
    ------
    SourceError
        With the reason and the remedy.
    """
    if sys.platform == "win32":
        there = path.upper().removeprefix("\\\\.\\") in [p.path.upper() for p in list_ports()]
    else:
        there = Path(path).exists()
    if not there:
        raise SourceError(
            f"Serial port {path} does not exist ({describe(list_ports())}); plug the board's "
            "dongle in, or name another port with --serial-port."
        )
    rights = _rights_problem(path)
    if rights is not None:
        raise SourceError(f"{rights.what} {rights.remedy}")


def require_usable(path: str) -> None:
    """Check that a port is there, may be opened, and is held by nobody.

    Two processes can open a serial port on Linux and macOS, and each then gets half of the
    bytes; so a port that somebody holds is refused here.

    Raises
    ------
    SourceError
        With the reason and the remedy.
    """
    require_present(path)
    found = holders(path)
    if found:
        names = ", ".join(f"{h.name} (pid {h.pid})" for h in found)
        raise SourceError(
            f"Serial port {path} is busy: {names} holds it, and two readers would each get half "
            f"of the samples; close that program, or end it with `kill {found[0].pid}`."
        )


def holders(path: str) -> list[Holder]:
    """Name the processes that have a port open, as far as this user may see them."""
    ways = {"linux": _holders_by_proc, "darwin": _holders_by_lsof}
    return ways[sys.platform](path) if sys.platform in ways else []


def latency_timer_ms(path: str, sysfs: Path = Path("/sys")) -> int | None:
    """Read the FTDI latency timer of a port, ms; None where there is none to read."""
    timer = _latency_file(path, sysfs)
    try:
        return int(timer.read_text())
    except (OSError, ValueError):
        return None


def latency_problem(path: str, sysfs: Path = Path("/sys")) -> Problem | None:
    """Say what a latency timer above 1 ms does, and the command that changes it."""
    timer = latency_timer_ms(path, sysfs)
    if timer is None or timer <= LATENCY_MS:
        return None
    return Problem(
        f"The FTDI latency timer of {path} is {timer} ms: samples arrive in bunches, up to "
        f"{timer} ms late.",
        f"echo {LATENCY_MS} | sudo tee {_latency_file(path, sysfs)}",
    )


def port_problems() -> list[Problem]:
    """List what is wrong with the ports that may be a board, each with what mends it."""
    found = candidates()
    if not found:
        return [
            Problem(
                f"No port looks like a board ({describe(list_ports())}).",
                "Plug the dongle in, switch the board on, and run `rtbci boards` again.",
            )
        ]
    return [problem for port in found for problem in port.problems]


def describe(ports: list[PortEntry]) -> str:
    """Say what was looked at, for an error: ``ports seen: /dev/ttyUSB1 (1a86:7523 ...)``."""
    if not ports:
        return "this machine has no serial ports"
    said = (p.path + (f" ({p.usb} {p.description})" if p.usb else "") for p in ports)
    return "ports seen: " + ", ".join(said)


def real_path(path: str) -> str:
    """Resolve a path that may be a link to its device, the same for all names of one port."""
    return path.upper() if sys.platform == "win32" else os.path.realpath(path)


def _entry(port: _ListedPort) -> PortEntry:
    usb = None if port.vid is None or port.pid is None else f"{port.vid:04x}:{port.pid:04x}"
    guess = {FTDI_DONGLE: "OpenBCI Cyton dongle?", BLED112_DONGLE: "Ganglion dongle?"}
    problems = [p for p in (_rights_problem(port.device), latency_problem(port.device)) if p]
    problems += [
        Problem(f"{port.device} is held by {h.name} (pid {h.pid}).", f"kill {h.pid}")
        for h in holders(port.device)
    ]
    description = port.description if port.description and port.description != "n/a" else ""
    return PortEntry(
        path=port.device,
        description=description,
        usb=usb,
        serial_number=port.serial_number,
        guess=guess.get(usb or "", ""),
        problems=tuple(problems),
    )


def _rights_problem(path: str) -> Problem | None:
    """Why this user can't open a port that is there (Linux and macOS)."""
    if sys.platform == "win32" or os.access(path, os.R_OK | os.W_OK):
        return None
    import grp
    import pwd

    try:
        group = grp.getgrgid(Path(path).stat().st_gid)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return Problem(f"Serial port {path} can't be opened by you.", f"sudo chmod a+rw {path}")
    what = f"Serial port {path} can't be opened: it belongs to the group {group.gr_name}"
    if user in group.gr_mem:
        return Problem(
            f"{what}, which {user} has joined since logging in.",
            f"Log out and in again, or run `newgrp {group.gr_name}`.",
        )
    return Problem(
        f"{what}, and {user} is not in it.",
        f"Run `sudo usermod -aG {group.gr_name} {user}`, then log out and in again.",
    )


def _latency_file(path: str, sysfs: Path) -> Path:
    return sysfs / "bus/usb-serial/devices" / Path(real_path(path)).name / "latency_timer"


def _holders_by_proc(path: str, proc: Path = Path("/proc")) -> list[Holder]:
    device = real_path(path)
    found = []
    for process in proc.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(_points_to(fd, device) for fd in (process / "fd").iterdir()):
                found.append(Holder(int(process.name), (process / "comm").read_text().strip()))
        except OSError:  # the process is gone meanwhile, or another user's
            continue
    return found


def _points_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:  # closed meanwhile
        return False


def _holders_by_lsof(path: str) -> list[Holder]:
    lsof = shutil.which("lsof")
    if lsof is None:
        return []
    done = subprocess.run(  # noqa: S603 - a fixed program, no shell
        [lsof, "-F", "pc", real_path(path)], capture_output=True, text=True, check=False
    )
    return parse_lsof(done.stdout)


def parse_lsof(text: str) -> list[Holder]:
    """Read the output of ``lsof -F pc``: a line ``p<pid>``, then a line ``c<command>``."""
    found = []
    pid = 0
    for line in text.splitlines():
        if line.startswith("p"):
            pid = int(line[1:])
        elif line.startswith("c"):
            found.append(Holder(pid, line[1:]))
    return found
