"""Subject profiles on disk: a card, the fitted decoder, and what was there before.

    subjects/P07/profile.toml            the card; names the decoder's file and its hash
    subjects/P07/decoder-1a2b3c4d.skops  the fitted estimator
    subjects/P07/history/2026-.../       earlier cards with their decoders

A new profile takes effect when ``profile.toml`` is replaced, which is atomic: whatever fails
before that leaves the old one in force.  Decoders are stored with skops, never pickle; of types
that are not scikit-learn's, pyriemann's, ours or those of an installed decoder plug-in none is
loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import platformdirs
import skops.io

from rtbci.calibration.card import Card, read_card, write_card
from rtbci.calibration.decoders.catalogue import GROUP
from rtbci.calibration.names import NAME
from rtbci.calibration.names import check_subject as check_subject
from rtbci.calibration.signal.regression import reference_electrodes
from rtbci.calibration.signal.streaming import StreamingDecoder
from rtbci.config import SessionConfig
from rtbci.errors import BadInputError
from rtbci.filters import low_pass_corner

CARD = "profile.toml"
HISTORY = "history"
HOME_VARIABLE = "RTBCI_HOME"
"""Environment variable that names the folder of all that rtbci keeps of a user."""

CORNER_SLACK_HZ = 0.5
CORNER_MARGIN_HZ = 10.0
"""A low-pass this far above a decoder's band changes nothing in it that matters."""

_TRUSTED = frozenset({"sklearn", "pyriemann", "rtbci"})


@dataclass(frozen=True)
class Profile:
    """A subject's profile.

    Attributes
    ----------
    folder : Path
        Where it lies.
    card : Card
        All of it but the decoder.
    """

    folder: Path
    card: Card

    @property
    def subject(self) -> str:
        """Whose profile it is."""
        return self.card.subject

    @property
    def decoder_file(self) -> Path:
        """Where the fitted decoder lies."""
        return self.folder / self.card.file


def subjects_dir(profiles_dir: Path | None = None) -> Path:
    """Folder of all profiles: as told, else below ``RTBCI_HOME``, else the user's data folder."""
    if profiles_dir is not None:
        return profiles_dir
    home = os.environ.get(HOME_VARIABLE, "")
    base = Path(home) if home else Path(platformdirs.user_data_dir("rtbci", appauthor=False))
    return base / "subjects"


def find_profile(name: str, profiles_dir: Path | None = None) -> Profile | None:
    """Profile of a subject; None where there is none.

    Raises
    ------
    BadInputError
        On a name that can't be one, or a damaged profile.
    """
    folder = subjects_dir(profiles_dir) / check_subject(name)
    return open_profile(folder) if (folder / CARD).exists() else None


def load_profile(name: str, profiles_dir: Path | None = None) -> Profile:
    """Profile of a subject.

    Raises
    ------
    BadInputError
        Where there is none, with those that are there.
    """
    found = find_profile(name, profiles_dir)
    if found is None:
        known = ", ".join(list_profiles(profiles_dir)) or "none yet"
        raise BadInputError(
            f"there is no profile of {name} (there are: {known}); make one with: "
            f"rtbci calibrate --from RECORDING --subject {name}"
        )
    return found


def list_profiles(profiles_dir: Path | None = None) -> list[str]:
    """Names of all subjects that have a profile."""
    folder = subjects_dir(profiles_dir)
    if not folder.is_dir():
        return []
    return sorted(
        p.name for p in folder.iterdir() if NAME.fullmatch(p.name) and (p / CARD).exists()
    )


def forget_profile(name: str, profiles_dir: Path | None = None) -> Path:
    """Remove a subject's profile and its history; give the folder that is gone."""
    folder = load_profile(name, profiles_dir).folder
    shutil.rmtree(folder)
    return folder


def open_profile(folder: Path) -> Profile:
    """Profile in a folder (a recording has a copy of the one it was decoded with).

    Raises
    ------
    BadInputError
        Where the card is missing or damaged.
    """
    card = read_card(folder / CARD)
    if Path(card.file).name != card.file:
        raise BadInputError(
            f"profile {folder / CARD} is damaged: its decoder {card.file!r} is not a file beside "
            "it; calibrate again."
        )
    return Profile(folder, card)


def copy_profile(profile: Profile, folder: Path) -> Profile:
    """Copy card and decoder, without the history, into a new folder."""
    folder.mkdir(parents=True)
    for name in (profile.card.file, CARD):
        shutil.copy2(profile.folder / name, folder / name)
    return Profile(folder, profile.card)


def check_writable(profiles_dir: Path | None = None) -> None:
    """Make the folder of all profiles and try to write in it.

    Raises
    ------
    BadInputError
        Where it can't be made or written.
    """
    folder = subjects_dir(profiles_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise BadInputError(
            f"profiles can't be written to {folder}: {err.strerror}; set {HOME_VARIABLE} to a "
            "folder that you may write to."
        ) from err


def earlier_looks(
    subject: str, recordings: Sequence[str], profiles_dir: Path | None = None
) -> tuple[int, ...]:
    """Numbers of trials at which one has looked before at a session that these are part of."""
    try:
        old = find_profile(subject, profiles_dir)
    except BadInputError:
        return ()  # a damaged one; it will be replaced
    if old is None or old.card.verdict is None or not set(old.card.recordings) & set(recordings):
        return ()
    return old.card.verdict.looks


def save_profile(card: Card, estimator: Any, profiles_dir: Path | None = None) -> Profile:
    """Write a profile; an earlier one goes into the history.

    Parameters
    ----------
    card : Card
        ``file`` and ``sha256`` are filled in here.
    estimator : object
        Fitted.

    Raises
    ------
    BadInputError
        Where the estimator holds types that would not be loaded again.
    """
    content: bytes = skops.io.dumps(estimator)
    foreign = _foreign(content)
    if foreign:
        raise BadInputError(
            f"decoder {card.decoder} holds {foreign[0]}, which would not be loaded again: only "
            "types of scikit-learn, pyriemann, rtbci and of installed decoder plug-ins are; "
            f"offer your package's decoder by an entry point of the group {GROUP}."
        )
    digest = hashlib.sha256(content).hexdigest()
    card = dataclasses.replace(card, file=f"decoder-{digest[:8]}.skops", sha256=digest)
    folder = subjects_dir(profiles_dir) / check_subject(card.subject)
    folder.mkdir(parents=True, exist_ok=True)
    old = _keep_old(folder)
    _replace(folder / card.file, content)
    _replace(folder / CARD, write_card(card).encode())
    if old is not None and old != card.file:
        (folder / old).unlink(missing_ok=True)
    return Profile(folder, card)


def _keep_old(folder: Path) -> str | None:
    """Copy the profile in force into the history; give its decoder's file name."""
    try:
        old = open_profile(folder)
    except BadInputError:
        return None  # none yet, or a damaged one: nothing worth keeping
    stamp = re.sub(r"[^0-9T-]", "-", old.card.created)[:19]
    kept, n = folder / HISTORY / stamp, 1
    while kept.exists():
        n += 1
        kept = folder / HISTORY / f"{stamp}-{n}"
    if not old.decoder_file.exists():
        return None
    copy_profile(old, kept)
    return old.card.file


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_estimator(profile: Profile) -> Any:
    """Load the fitted decoder.

    Raises
    ------
    BadInputError
        Where its file is missing, is not the one that was written, or holds foreign types.
    """
    path = profile.decoder_file
    again = f"calibrate {profile.subject} again"
    try:
        content = path.read_bytes()
    except OSError as err:
        raise BadInputError(f"decoder {path} can't be read: {err.strerror}; {again}.") from err
    if hashlib.sha256(content).hexdigest() != profile.card.sha256:
        raise BadInputError(f"decoder {path} is not the file its profile was made with; {again}.")
    foreign = _foreign(content)
    if foreign:
        raise BadInputError(
            f"decoder {path} holds {', '.join(foreign)}, and only types of scikit-learn, "
            f"pyriemann, rtbci and of installed decoder plug-ins are loaded; {again}."
        )
    return skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))


def _foreign(content: bytes) -> list[str]:
    """Types in a skops file that are not trusted."""
    return [t for t in skops.io.get_untrusted_types(data=content) if not _is_trusted(t)]


def _is_trusted(name: str) -> bool:
    """Whether a type is a class that a trusted package itself defines.

    The package's name is not enough: ``sklearn.some_module.os`` would name another's object.
    """
    trusted = _TRUSTED | {e.value.split(":")[0].split(".")[0] for e in entry_points(group=GROUP)}
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] not in trusted:
        return False
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return isinstance(found, type) and found.__module__.split(".")[0] in trusted


def _check_regressed(card: Card, electrodes: Sequence[str]) -> None:
    """Refuse a stream in which other electrodes would be regressed out of the decoder's."""
    if card.view.regress == "none" or not card.montage:
        return
    there = reference_electrodes(electrodes)
    lacking = [e for e in card.regressed if e not in there]
    beside = [e for e in there if e not in card.regressed]
    if lacking or beside:
        has = [f"lacks {', '.join(lacking)}"] if lacking else []
        has += [f"also has {', '.join(beside)}"] if beside else []
        raise BadInputError(
            f"{card.subject}'s decoder was fitted with {', '.join(card.regressed) or 'nothing'} "
            f"regressed out (eyes and muscle), but this stream {' and '.join(has)}; use the "
            "montage of the calibration, or calibrate anew with this one."
        )


def _check_rate(card: Card, source_rate: float | None) -> None:
    """Refuse a stream so slow that the causal chain cuts off what the decoder was fitted on."""
    if source_rate is None:
        return
    fitted = low_pass_corner(card.source_rate, card.preprocess)
    given = low_pass_corner(source_rate, card.preprocess)
    top = max(high for _, high in card.view.bands_hz)
    if abs(fitted - given) > CORNER_SLACK_HZ and min(fitted, given) < top + CORNER_MARGIN_HZ:
        raise BadInputError(
            f"{card.subject}'s decoder was fitted at {card.source_rate:g} Hz, where the causal "
            f"chain passes up to {fitted:g} Hz, but this stream has {source_rate:g} Hz and passes "
            f"up to {given:g} Hz, and the decoder reads up to {top:g} Hz; use a device of the "
            "same rate, or calibrate anew."
        )


def streaming_decoder(
    profile: Profile,
    electrodes: Sequence[str],
    config: SessionConfig,
    source_rate: float | None = None,
) -> StreamingDecoder:
    """Put a subject's decoder into a stream.

    Parameters
    ----------
    profile : Profile
    electrodes : sequence of str
        Of the stream; more than the decoder needs, and in any order.
    config : SessionConfig
        Its preprocessing must be the one that the decoder was fitted on.
    source_rate : float | None
        Of the stream before it is resampled, Hz.  Another one than that of the calibration does
        no harm as long as the causal chain passes the same frequencies.

    Raises
    ------
    BadInputError
        Where an electrode is missing, another one would be regressed out, or preprocessing or
        rate differ in what the decoder sees, with the difference.
    """
    card = profile.card
    _check_regressed(card, electrodes)
    _check_rate(card, source_rate)
    wanted, given = dataclasses.asdict(card.preprocess), dataclasses.asdict(config.preprocess)
    # NB: a decoder sees µV, so the normalisation behind it may differ.
    for key in sorted(set(wanted) - {"ema_s"}):
        if wanted[key] != given[key]:
            raise BadInputError(
                f"{card.subject}'s decoder was fitted with preprocess.{key} = {wanted[key]!r}, "
                f"but this session has {given[key]!r}; use the same, or calibrate anew."
            )
    return StreamingDecoder(
        f"{card.subject}: {card.decoder}",
        load_estimator(profile),
        card.classes,
        card.electrodes,
        electrodes,
        card.preprocess.rate_hz,
        card.view,
        card.learned,
    )
