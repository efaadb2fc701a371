"""What can be wrong with a machine, and the command that mends it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rtbci.liblsl import load_pylsl

LOW_DISK_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        What was found, in words.
    ok : bool
    remedy : str
        What to do; a command where there is one.
    serious : bool
        Whether sessions can't run with it.
    """

    what: str
    ok: bool = True
    remedy: str = ""
    serious: bool = False


def examine() -> list[Finding]:
    """Look at everything; never raises."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _torch,
        _brainflow,
        _ports,
        _lsl,
        _clock,
        _qt,
        _disk,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check())
        except Exception as err:  # noqa: BLE001 - a broken library is what doctor is there to find
            name = check.__name__.strip("_")
            findings.append(
                Finding(
                    f"{name} can't be examined: {type(err).__name__}: {err}",
                    ok=False,
                    remedy="Install again: pip install --force-reinstall rtbci",
                    serious=name in ("torch", "python"),
                )
            )
    return findings


def _python() -> Iterator[Finding]:
    here = ".".join(map(str, sys.version_info[:3]))
    yield Finding(f"Python {here} on {sys.platform}, {os.cpu_count()} cores")


def _torch() -> Iterator[Finding]:
    import torch

    version = torch.__version__
    if torch.cuda.is_available():
        yield Finding(f"PyTorch {version}, CUDA device {torch.cuda.get_device_name(0)}")
    else:
        built = "built for CUDA, but no device answers" if torch.version.cuda else "CPU build"
        yield Finding(f"PyTorch {version}, {built}: models run on the CPU")


def _brainflow() -> Iterator[Finding]:
    importlib.import_module("brainflow.board_shim")
    yield Finding(f"BrainFlow {importlib.metadata.version('brainflow')}")


def _ports() -> Iterator[Finding]:
    from rtbci.sources.ports import list_ports, port_problems

    ports = list_ports()
    yield Finding(
        f"serial ports: {', '.join(p.path for p in ports)}" if ports else "no serial port is there"
    )
    for problem in port_problems():
        yield Finding(problem.what, ok=False, remedy=problem.remedy)


def _lsl() -> Iterator[Finding]:
    pylsl = load_pylsl()

    from rtbci.sources.lsl import lsl_problems

    yield Finding(f"LSL library {pylsl.library_version() / 100:.2f}")
    for problem in lsl_problems():
        yield Finding(problem.what, ok=False, remedy=problem.remedy)


def _clock() -> Iterator[Finding]:
    pylsl = load_pylsl()

    offset = pylsl.local_clock() - time.monotonic()
    same = abs(offset) < 0.001
    yield Finding(
        "LSL's clock is the monotonic clock"
        if same
        else f"LSL's clock is {offset:.3f} s off the monotonic clock; the offset is taken off",
    )


def _qt() -> Iterator[Finding]:
    try:
        importlib.import_module("PySide6.QtGui")
    except ImportError as err:
        yield Finding(
            f"Qt can't be loaded: {err}",
            ok=False,
            remedy="sudo apt-get install libgl1 libegl1 libxkbcommon0 libfontconfig1 libdbus-1-3",
        )
        return
    shown = any(os.environ.get(k) for k in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY"))
    yield Finding(
        "Qt loads" + ("" if shown or sys.platform != "linux" else "; there is no display")
    )


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding(
        f"{free:.0f} GB free here",
        ok=free > LOW_DISK_GB,
        remedy=""
        if free > LOW_DISK_GB
        else "Free some space, or record to another disk: --record DIR",
    )
