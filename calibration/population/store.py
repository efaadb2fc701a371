"""The banks at hand: the one that comes with the program, and the user's own subjects.

    RTBCI_HOME/bank/PSEUDONYM.safetensors    a subject each

Only covariances are kept, no signal, and only with a pseudonym and the words of a consent.
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from rtbci.calibration.population.bank import Bank, read_bank, shipped_bank, write_bank
from rtbci.errors import BadInputError

State = tuple[tuple[str, int, int], ...]
"""Files of the banks with time of change (ns) and size: what a fitted population depends on."""


def store_dir(profiles_dir: Path | None = None) -> Path:
    """Folder of the user's own subjects, beside the profiles."""
    from rtbci.calibration.profile import subjects_dir

    return subjects_dir(profiles_dir).parent / "bank"


def bank_file(subject: str, profiles_dir: Path | None = None) -> Path:
    """Where a subject of the user's own lies.

    Raises
    ------
    BadInputError
        On a name that can't be a file's.
    """
    from rtbci.calibration.profile import check_subject

    return store_dir(profiles_dir) / f"{check_subject(subject)}.safetensors"


def banks_at_hand(profiles_dir: Path | None = None) -> State:
    """Files of all banks, the shipped one first."""
    own = sorted(store_dir(profiles_dir).glob("*.safetensors"))
    shipped = shipped_bank()
    files = [shipped, *own] if shipped.exists() else own
    return tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files)


@lru_cache(maxsize=2)
def load_banks(state: State) -> tuple[Bank, ...]:
    """Read the banks at hand, once a process.

    Raises
    ------
    BadInputError
        Where one can't be read.
    """
    return tuple(read_bank(Path(file)) for file, _, _ in state)


def add_subject(
    recordings: Sequence[Path],
    subject: str,
    consent: str,
    *,
    classes: str | None = None,
    montage: str | None = None,
    profiles_dir: Path | None = None,
) -> Path:
    """Put a subject of the user's own into the bank, in place of what was there of her.

    Parameters
    ----------
    recordings : sequence of Path
    subject : str
        A pseudonym.
    consent : str
        What she has agreed to, in words; kept with her trials.

    Raises
    ------
    BadInputError
        Where pseudonym or consent are missing, a subject of the shipped bank has that name, or
        the recordings can't be used; what was there before is untouched.
    """
    from rtbci.calibration.population.build import build_bank

    path = bank_file(subject, profiles_dir)
    if not consent.strip():
        raise BadInputError(
            "say what the subject has agreed to, as in --consent 'signed form of 2026-03-02: "
            "covariances may be used for other people's decoders'; without it nothing is added."
        )
    shipped = shipped_bank()
    if shipped.exists() and subject.casefold() in {
        s.casefold() for s in read_bank(shipped).subjects
    }:
        raise BadInputError(
            f"{subject} is a subject of the bank that comes with rtbci; use another pseudonym."
        )
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    about = {"source": "own recordings", "consent": consent.strip(), "added": today}
    made = build_bank(
        recordings, path.stem, about, subject=subject, classes=classes, montage=montage
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        write_bank(made.bank, new)
        new.replace(path)
    return path


def all_banks(profiles_dir: Path | None = None) -> tuple[Bank, ...]:
    """The shipped bank and the user's own subjects."""
    return load_banks(banks_at_hand(profiles_dir))


def own_subjects(profiles_dir: Path | None = None) -> list[Bank]:
    """Subjects that the user has added, by name."""
    return [read_bank(f) for f in sorted(store_dir(profiles_dir).glob("*.safetensors"))]


def remove_subject(subject: str, profiles_dir: Path | None = None) -> Path:
    """Remove a subject of the user's own from the bank; gives the file that is gone.

    Raises
    ------
    BadInputError
        Where there is none of that name.
    """
    path = bank_file(subject, profiles_dir)
    if not path.exists():
        known = ", ".join(b.name for b in own_subjects(profiles_dir)) or "nobody yet"
        raise BadInputError(f"{subject} is not in your bank (there is: {known}).")
    path.unlink()
    return path


def forget(subject: str, profiles_dir: Path | None = None) -> bool:
    """Remove a subject from the bank if she is in it; says whether she was."""
    path = bank_file(subject, profiles_dir)
    there = path.exists()
    path.unlink(missing_ok=True)
    return there
