"""README's shell blocks, run as a user would type them.

What needs the network or hardware is stood in for: recordings come from RTBCI_DATA under the
names that the download gives them, the board is emulated on a pseudo-terminal, the LSL stream
comes from another process.  Live commands get a duration, since nobody is there to press Ctrl-C.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mne
import pytest
from cyton import CytonEmulator
from lsl_outlet import LslOutlet, OutletSpec

README = Path(__file__).resolve().parents[2] / "README.md"
LIVE_S = 4
PLAYED, PLAYED_S = "S001R04.edf", 40
"""What is played three times, but neither calibrated nor scored, is cut to its beginning."""
EXAMPLES = "MNE-eegbci-data/files/eegmmidb/1.0.0/S001"


def blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def lines() -> list[str]:
    return [line for block in blocks() for line in block.splitlines() if line]


@pytest.fixture
def home(tmp_path: Path, data_dir: Path) -> Path:
    """An empty folder with the recordings where the download puts them."""
    source = data_dir / "motor_imagery" / "eegmmidb" / "S001"
    target = tmp_path / EXAMPLES
    target.mkdir(parents=True)
    for path in source.glob("*.edf"):
        if path.name == PLAYED:
            begin = mne.io.read_raw_edf(path, verbose="error").crop(0, PLAYED_S, include_tmax=False)
            begin.export(target / path.name, verbose="error")
        else:
            (target / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture
def board() -> Iterator[str]:
    with CytonEmulator() as emulator:
        yield str(emulator.port)


@pytest.fixture
def stream() -> Iterator[str]:
    name = f"readme_{os.getpid()}"
    labels = ("FC3", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4")
    with LslOutlet(OutletSpec(name, n_channels=8, labels=labels)):
        yield name


def prepared(line: str, board: str, stream: str) -> str | None:
    """A line as the test runs it; None for what only a user with a network can."""
    if line.startswith(("pip install", "python -c")):
        return None
    if line.startswith("rtbci run") and "--replay" not in line:
        line += f" --duration {LIVE_S}"
    if line.startswith("rtbci calibrate") and "--from" not in line:
        line += " --protocol graz-2 --blocks 1 --trials 10 --speed max"
    if "--board openbci" in line:
        line += f" --serial-port {board}"
    return line.replace("obci_eeg1", stream)


def test_the_first_two_blocks_are_the_two_commands() -> None:
    assert blocks()[:2] == [
        "pip install . && rtbci run\n",
        "pip install -e '.[test]' && pytest\n",
    ]


@pytest.mark.timeout(600)
def test_all_blocks_run_in_order(home: Path, board: str, stream: str) -> None:
    script = ["set -euo pipefail"]
    for line in ["rtbci run", *lines()]:
        made = prepared(line, board, stream)
        if made is not None:
            script += [f"echo '$ {line}'", made]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RTBCI_HOME": str(home / "rtbci-home"),
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "accuracy" in done.stdout
    assert "Traceback" not in done.stderr
