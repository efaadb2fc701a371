from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from rtbci.errors import SourceError
from rtbci.sources import ports
from rtbci.sources.ports import Holder, PortEntry

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="ports are no files on Windows")


@dataclass
class Listed:
    """A port as pyserial lists it."""

    device: str
    description: str | None = "n/a"
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None


DONGLE = Listed("/dev/ttyUSB1", "FT231X USB UART", 0x0403, 0x6015, "DM00ABCD")
BLED112 = Listed("/dev/ttyACM0", "Low Energy Dongle", 0x2458, 0x0001)
ARDUINO = Listed("/dev/ttyACM1", "Arduino Uno", 0x2341, 0x0043)
UNTOLD = Listed("/dev/ttyUSB0")
ONBOARD = Listed("/dev/ttyS0")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Listed]:
    """The ports of a machine; a test fills in which."""
    listed: list[Listed] = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: listed)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    return listed


def test_ports_are_listed_with_what_is_known(machine: list[Listed]) -> None:
    machine += [DONGLE, ONBOARD]
    onboard, dongle = ports.list_ports()
    assert onboard == PortEntry("/dev/ttyS0")
    assert dongle.usb == "0403:6015"
    assert dongle.serial_number == "DM00ABCD"
    assert "Cyton" in dongle.guess


def test_dongles_come_first_and_known_strangers_never(machine: list[Listed]) -> None:
    machine += [UNTOLD, ARDUINO, BLED112, ONBOARD, DONGLE]
    assert [p.path for p in ports.candidates()] == ["/dev/ttyACM0", "/dev/ttyUSB1", "/dev/ttyUSB0"]


def test_a_replugged_dongle_is_found_under_its_new_name(machine: list[Listed]) -> None:
    entry = PortEntry("/dev/ttyUSB0", serial_number="DM00ABCD")
    assert ports.find_again(entry) == "/dev/ttyUSB0"
    machine.append(DONGLE)
    assert ports.find_again(entry) == "/dev/ttyUSB1"
    assert ports.find_again(PortEntry("/dev/ttyUSB7")) == "/dev/ttyUSB7"


def test_a_missing_port_says_which_there_are(machine: list[Listed]) -> None:
    machine += [DONGLE]
    seen = r"ports seen: /dev/ttyUSB1 \(0403:6015 FT231X USB UART\)"
    with pytest.raises(SourceError, match=f"/dev/ttyUSB9 does not exist .*{seen}.*plug"):
        ports.require_usable("/dev/ttyUSB9")


@posix_only
def test_a_forbidden_port_says_how_to_join_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    group = SimpleNamespace(gr_name="dialout", gr_mem=["anna"])
    monkeypatch.setattr("grp.getgrgid", lambda gid: group)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="ben"))
    with pytest.raises(
        SourceError, match=r"group dialout, and ben is not .*usermod -aG dialout ben"
    ):
        ports.require_usable(str(port))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="anna"))
    with pytest.raises(SourceError, match=r"anna has joined since .*out and in again.*newgrp"):
        ports.require_usable(str(port))


@posix_only
def test_a_busy_port_names_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    monkeypatch.setattr(ports, "holders", lambda path: [Holder(4711, "ModemManager")])
    with pytest.raises(SourceError, match=r"busy: ModemManager \(pid 4711\) holds .*`kill 4711`"):
        ports.require_usable(str(port))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_holder_of_a_file_is_found(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    link = tmp_path / "board"
    port.touch()
    link.symlink_to(port)
    assert ports.holders(str(link)) == []
    with port.open():
        assert [h.pid for h in ports.holders(str(link))] == [os.getpid()]


def test_lsof_is_read() -> None:
    text = "p501\ncOpenBCI_GUI\nf12\np733\ncpython3\nf3\n"
    assert ports.parse_lsof(text) == [Holder(501, "OpenBCI_GUI"), Holder(733, "python3")]


def sysfs_with(tmp_path: Path, timer: str) -> Path:
    folder = tmp_path / "bus/usb-serial/devices/ttyUSB0"
    folder.mkdir(parents=True)
    (folder / "latency_timer").write_text(timer)
    return tmp_path


def test_a_slow_latency_timer_comes_with_the_command(tmp_path: Path) -> None:
    problem = ports.latency_problem("/dev/ttyUSB0", sysfs_with(tmp_path, "16\n"))
    assert problem is not None
    assert "16 ms" in problem.what
    timer = tmp_path / "bus/usb-serial/devices/ttyUSB0/latency_timer"
    assert problem.remedy == f"echo 1 | sudo tee {timer}"


@pytest.mark.parametrize("timer", ["1\n", "", "none"])
def test_a_fast_or_unknown_timer_is_no_problem(tmp_path: Path, timer: str) -> None:
    assert ports.latency_problem("/dev/ttyUSB0", sysfs_with(tmp_path, timer)) is None
    assert ports.latency_timer_ms("/dev/ttyUSB5", tmp_path) is None


def test_the_doctor_hears_of_missing_dongles_and_bad_ports(
    machine: list[Listed], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.append(ONBOARD)
    (nothing,) = ports.port_problems()
    assert "No port looks like a board (ports seen: /dev/ttyS0)" in nothing.what
    machine.append(DONGLE)
    assert ports.port_problems() == []
    slow = ports.Problem("slow", "echo 1")
    monkeypatch.setattr(ports, "latency_problem", lambda path: slow)
    assert ports.port_problems() == [slow]
