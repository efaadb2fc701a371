"""Where a recording's files are: one BIDS-named folder for each session.

::

    DIR/                                          --record DIR
    └── sub-P07_task-live_run-01/                 one recording
        ├── sub-P07_task-live_run-01_session.json     who, when, stream, config, model
        ├── sub-P07_task-live_run-01_eeg.vhdr .eeg .vmrk
        ├── sub-P07_task-live_run-01_times.bin        time and package counter of each row
        ├── commands.jsonl                            gaps, markers, all that was decided
        ├── ..._channels.tsv ..._events.tsv ..._eeg.json
        ├── ..._decodes.jsonl ..._forecasts.bin
        ├── ..._summary.json                          once it has ended
        └── ..._recording-NAME_*                      the same for further streams
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from rtbci.errors import BadInputError

SESSION = "_session.json"
"""What the name of a recording's first file ends with: a folder with one is a recording."""
STREAM = "_stream.json"
STREAM_ENTITY = "_recording-"
TORN = ".torn"
"""Added to a file's name for the bytes that a repair cut off its end."""


@dataclass(frozen=True, slots=True)
class StreamFiles:
    """The files of one stream.

    Attributes
    ----------
    folder : Path
    base : str
        What their names begin with (``sub-P07_task-live_run-01``).
    commands : Path
        Gaps, markers and decisions, a line each.
    """

    folder: Path
    base: str
    commands: Path

    def named(self, suffix: str) -> Path:
        """Path of the file whose name ends with ``suffix``."""
        return self.folder / f"{self.base}{suffix}"

    @property
    def header(self) -> Path:
        """BrainVision header."""
        return self.named("_eeg.vhdr")

    @property
    def data(self) -> Path:
        """Rows, float32, multiplexed."""
        return self.named("_eeg.eeg")

    @property
    def markers(self) -> Path:
        """BrainVision markers."""
        return self.named("_eeg.vmrk")

    @property
    def times(self) -> Path:
        """Time and counter of each row."""
        return self.named("_times.bin")

    @property
    def events(self) -> Path:
        """BIDS events."""
        return self.named("_events.tsv")

    @property
    def channels(self) -> Path:
        """BIDS channels."""
        return self.named("_channels.tsv")

    @property
    def sidecar(self) -> Path:
        """BIDS sidecar of the signal."""
        return self.named("_eeg.json")

    @property
    def stream(self) -> Path:
        """What a further stream is (the first one's is in the session file)."""
        return self.named(STREAM)


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """The files of one recording.

    Attributes
    ----------
    folder : Path
    stem : str
        What all names but ``commands.jsonl`` begin with.
    """

    folder: Path
    stem: str

    @property
    def session(self) -> Path:
        """Who, when, stream, config, model."""
        return self.folder / f"{self.stem}{SESSION}"

    @property
    def summary(self) -> Path:
        """What the session came to; missing where it did not end."""
        return self.folder / f"{self.stem}_summary.json"

    @property
    def recovery(self) -> Path:
        """What was mended, a line each; missing where nothing was."""
        return self.folder / f"{self.stem}_recovery.jsonl"

    @property
    def decodes(self) -> Path:
        """A decode a line."""
        return self.folder / f"{self.stem}_decodes.jsonl"

    @property
    def forecasts(self) -> Path:
        """A header line, then records of one size."""
        return self.folder / f"{self.stem}_forecasts.bin"

    @property
    def main(self) -> StreamFiles:
        """The stream that the pipeline sees."""
        return StreamFiles(self.folder, self.stem, self.folder / "commands.jsonl")

    def stream_files(self, name: str) -> StreamFiles:
        """Files of a further stream."""
        base = f"{self.stem}{STREAM_ENTITY}{label(name)}"
        return StreamFiles(self.folder, base, self.folder / f"{base}_commands.jsonl")

    def streams(self) -> dict[str, StreamFiles]:
        """Files of all further streams, by label."""
        start = f"{self.stem}{STREAM_ENTITY}"
        names = sorted(
            path.name.removeprefix(start).removesuffix(STREAM)
            for path in self.folder.glob(f"{start}*{STREAM}")
        )
        return {name: self.stream_files(name) for name in names}


def label(name: str) -> str:
    """Make a BIDS label (letters and digits only) of any name.

    Accents are dropped; a name without any Latin letter or digit becomes ``x`` and six digits
    of its hash, so that it stays the same name in every session.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    made = re.sub(r"[^A-Za-z0-9]", "", plain)
    return made or "x" + hashlib.blake2b(name.encode(), digest_size=3).hexdigest()


def create_folder(parent: Path, subject: str, task: str) -> tuple[RecordingFiles, int]:
    """Make the folder of a new session, with the next run number.

    Safe when two sessions start at once: making a folder is one step of the file system, and
    who comes second takes the next number.

    Returns
    -------
    files : RecordingFiles
    run : int

    Raises
    ------
    BadInputError
        Where ``parent`` can't be made or written to.
    """
    start = f"sub-{label(subject)}_task-{label(task)}_run-"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [re.fullmatch(re.escape(start) + r"(\d+)", path.name) for path in parent.iterdir()]
        run = 1 + max((int(match[1]) for match in taken if match), default=0)
        while True:
            folder = parent / f"{start}{run:02d}"
            try:
                folder.mkdir()
            except FileExistsError:
                run += 1
            else:
                return RecordingFiles(folder, folder.name), run
    except OSError as err:
        raise BadInputError(
            f"nothing can be recorded in {parent}: {err.strerror}; name a folder that can be "
            "written to with --record."
        ) from err


def find_recording(path: Path) -> RecordingFiles:
    """Find the recording that a folder, or any file in it, is; or the only one below a folder.

    Raises
    ------
    BadInputError
        Where there is none, or several.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise BadInputError(f"there is no recording {path}: no such file or folder.")
    there = sorted(folder.glob(f"*{SESSION}"))
    if len(there) == 1:
        return RecordingFiles(folder, there[0].name.removesuffix(SESSION))
    inside = find_recordings(folder) if path.is_dir() else []
    if len(inside) == 1:
        return inside[0]
    if inside:
        names = ", ".join(str(files.folder.relative_to(folder)) for files in inside[:5])
        raise BadInputError(f"{path} holds {len(inside)} recordings; name one of them: {names}.")
    raise BadInputError(
        f"{path} is no recording of rtbci: {folder} holds no file that ends with {SESSION}."
        + (f" To play another program's file: rtbci run --replay {path}" if path.is_file() else "")
    )


def find_recordings(folder: Path) -> list[RecordingFiles]:
    """List the recordings in a folder and the folders below it."""
    return [
        RecordingFiles(path.parent, path.name.removesuffix(SESSION))
        for path in sorted(folder.rglob(f"*{SESSION}"))
    ]


def is_recording(path: Path) -> bool:
    """Whether ``path`` is a recording of rtbci, a file in one, or a folder with one only."""
    try:
        find_recording(path)
    except BadInputError:
        return False
    return True
