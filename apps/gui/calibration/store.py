"""A guided session on disk, beside its recordings: closed in the middle, it is taken up again.

    RECORDINGS/
    ├── sub-P07_task-calibration_run-01/      as every recording
    └── calibration-P07/
        ├── session.json                      where the session stands
        └── profiles/P07/                     what the blocks have given so far

The file is written whole or not at all, after every step.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtbci.apps.settings import SourceSettings
from rtbci.apps.texts import t
from rtbci.config import from_dict
from rtbci.errors import BadInputError
from rtbci.recording.jsontext import write_whole

VERSION = 1
FILE = "session.json"
PROFILES = "profiles"


@dataclass(frozen=True)
class Plan:
    """What was asked for at the beginning.

    Attributes
    ----------
    subject : str
    source : SourceSettings
    montage : str | None
        As on the command line.
    protocol : str
        Name or file of the protocol of the blocks.
    blocks : int
        So many are planned; the verdict may say fewer or more.
    trials : int
        Of each class in a block.
    decoder : str
    seed : int
        Of order and jitter.
    tones : bool
        Whether a cue is also heard.
    check : bool
        Whether the signal is checked before the blocks.
    """

    subject: str
    source: SourceSettings = field(default_factory=SourceSettings)
    montage: str | None = None
    protocol: str = "graz-2"
    blocks: int = 3
    trials: int = 10
    decoder: str = "auto"
    seed: int = 0
    tones: bool = False
    check: bool = True


@dataclass(frozen=True)
class TrialShown:
    """A trial as it was shown.

    Attributes
    ----------
    label : str
    time : float
        When its cue was shown, seconds of the session's clock.
    repeated : bool
        Whether it did not count and came again.
    why : str
        ``gap``, ``pause`` or ``eyes``, where it was repeated.
    """

    label: str
    time: float
    repeated: bool = False
    why: str = ""


@dataclass(frozen=True)
class BlockDone:
    """A block that is complete.

    Attributes
    ----------
    number : int
        From 1.
    recording : str
    start, stop : float
        Seconds of the session's clock.
    trials : tuple of TrialShown
    void : bool
        Whether it was repeated afterwards, and does not count.
    """

    number: int
    recording: str
    start: float
    stop: float
    trials: tuple[TrialShown, ...] = ()
    void: bool = False


@dataclass
class GuidedState:
    """Where a guided session stands.

    Attributes
    ----------
    plan : Plan
    done : dict of str to str
        Steps that are complete, with what is to be said of them.
    recordings, feedback : list of str
        Folders: of cues, of feedback.
    blocks : list of BlockDone
    looked : list of int
        Numbers of trials at which one has looked.
    answers : dict
        What the fit, the signal check and so on gave last, by name.
    seconds : float
        That the session has taken so far.
    saved : str
        The subject's profile, when all is done.
    """

    plan: Plan
    done: dict[str, str] = field(default_factory=dict)
    recordings: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)
    blocks: list[BlockDone] = field(default_factory=list)
    looked: list[int] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    saved: str = ""

    @property
    def counted(self) -> list[BlockDone]:
        """Blocks that count."""
        return [block for block in self.blocks if not block.void]

    @property
    def next_block(self) -> int:
        """Number of the block that would come next."""
        return len(self.counted) + 1


def new_state(plan: Plan) -> GuidedState:
    """A session that is about to begin; a check that is not planned is left out of it."""
    state = GuidedState(plan)
    if not plan.check:
        state.done["check"] = t("calibration.path.skipped")
    return state


def source_words(source: SourceSettings) -> str:
    """A source as people read it."""
    if source.simulated:
        return "simulator"
    port = f" on {source.serial_port}" if source.serial_port else ""
    return f"{source.name}{port}"


def session_folder(record: Path, subject: str) -> Path:
    """Folder of a subject's guided session beside her recordings."""
    return record / f"calibration-{subject}"


def profiles_folder(folder: Path) -> Path:
    """Folder of what a session's blocks have given so far."""
    return folder / PROFILES


def save_state(state: GuidedState, folder: Path) -> None:
    """Write where a session stands.

    Raises
    ------
    BadInputError
        Where the folder can't be written; with the remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        values = {"version": VERSION, **asdict(state)}
        write_whole(folder / FILE, (json.dumps(values, indent=1) + "\n").encode())
    except OSError as err:
        raise BadInputError(
            f"{folder} can't be written ({err.strerror}), so the session could not be taken up "
            "again; make room there, or record elsewhere with --record."
        ) from err


def find_state(folder: Path) -> GuidedState | None:
    """Where a session stands that was begun before; None where there is none, or it is saved.

    Recordings that are gone since are left out, and the blocks with them.

    Raises
    ------
    BadInputError
        Where the file is damaged, or of another version of the program.
    """
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise _damaged(path, str(err)) from err
    if not isinstance(values, dict) or values.pop("version", None) != VERSION:
        raise _damaged(path, "it is of another version")
    try:
        state = _read(values)
    except (BadInputError, TypeError, KeyError) as err:
        raise _damaged(path, str(err)) from err
    if state.saved:
        return None
    state.recordings = [r for r in state.recordings if Path(r).is_dir()]
    state.feedback = [r for r in state.feedback if Path(r).is_dir()]
    state.blocks = [b for b in state.blocks if b.recording in state.recordings]
    return state


def _read(values: dict[str, Any]) -> GuidedState:
    plan = from_dict(Plan, values.pop("plan"), "plan")
    blocks = [from_dict(BlockDone, block, "block") for block in values.pop("blocks")]
    return GuidedState(plan=plan, blocks=blocks, **values)


def _damaged(path: Path, why: str) -> BadInputError:
    return BadInputError(
        f"{path} can't be taken up again ({why}); what was recorded is safe beside it. Move the "
        "file away to begin anew."
    )


def set_aside(folder: Path) -> None:
    """Keep the state of a session that is not gone on with under another name."""
    path, number = folder / FILE, 1
    while (kept := folder / f"session-{number}.json").exists():
        number += 1
    if path.exists():
        path.replace(kept)
