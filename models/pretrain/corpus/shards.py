"""A corpus: many recordings, prepared once, and the list of them.

    DATA... --find--> files --hash--> --prepare, in one process or several--> OUT/manifest.json
                                                                              OUT/NAME/...

Each recording is prepared by itself with one thread, so how many processes there are changes no
byte.  The list is written when all is done; before that it says that it is not complete, and the
same call again goes on with what is missing.

Concurrency: processes share nothing but the folder, and each writes folders of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rtbci.config import PreprocessConfig
from rtbci.errors import BadInputError, RtbciError
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.manifest import FILE, LeftOut, Manifest, read_manifest
from rtbci.models.pretrain.corpus.pool import Tell, in_processes, in_turn
from rtbci.models.pretrain.corpus.prepared import Prepared, open_prepared, settings_of
from rtbci.models.pretrain.corpus.sources import Source, find_sources
from rtbci.models.pretrain.corpus.store import DiskError, writing
from rtbci.models.pretrain.corpus.work import Outcome, sha256_of
from rtbci.montage import parse_montage


@dataclass(frozen=True)
class Corpus:
    """Prepared recordings that are ready to be trained on.

    Attributes
    ----------
    folder : Path
    manifest : Manifest
    """

    folder: Path
    manifest: Manifest

    @cached_property
    def recordings(self) -> tuple[Prepared, ...]:
        """All of them, in the order of their names; mapped when they are first asked for.

        Raises
        ------
        BadInputError
            Where one is damaged.
        """
        return tuple(open_prepared(self.folder / e.name) for e in self.manifest.recordings)

    @property
    def preprocess(self) -> PreprocessConfig:
        """The chain that the recordings were prepared behind."""
        return self.manifest.preprocess

    def check(self, config: ModelConfig) -> None:
        """Refuse a network that expects another signal than this corpus holds.

        Raises
        ------
        BadInputError
            With the setting, both values and the remedy.
        """
        wanted = settings_of(config)
        for name, value in wanted.items():
            own = self.manifest.settings.get(name)
            if _plain(value) != own:
                raise BadInputError(
                    f"the corpus {self.folder} was prepared with {name} = {own}, and the network "
                    f"needs {_plain(value)}: prepare the recordings for it, or choose another."
                )


def is_corpus(path: Path) -> bool:
    """Whether a folder is what ``rtbci prepare`` writes."""
    return (path / FILE).is_file()


def open_corpus(path: Path) -> Corpus:
    """Open what :func:`prepare_corpus` wrote.

    Raises
    ------
    BadInputError
        Where it is no corpus, another version wrote it, or it was not finished.
    """
    manifest = read_manifest(path)
    if not manifest.complete:
        raise BadInputError(
            f"{path} was not finished: {len(manifest.recordings)} recordings are prepared so far. "
            "Give the same rtbci prepare again, it goes on from there."
        )
    return Corpus(path, manifest)


def prepare_corpus(
    data: Sequence[Path | str],
    out: Path,
    config: ModelConfig,
    *,
    workers: int = 1,
    skip: Callable[[str], bool] | None = None,
    montage: str | None = None,
    progress: Tell | None = None,
) -> Corpus:
    """Prepare recordings; those that are there already are taken as they are.

    Parameters
    ----------
    data : sequence of path or str
        Recordings, folders, BIDS roots, ``moabb:NAME``.
    out : Path
        Folder of the corpus.
    config : ModelConfig
        Its ``preprocess``, rate, window, hop and horizons.
    workers : int
        Processes.
    skip : callable, optional
        Told a subject; recordings of those it says True to are not even opened.
    montage : str | None
        As ``--montage`` takes it: for recordings that name no electrode.
    progress : callable, optional
        Told often how far it is.

    Raises
    ------
    BadInputError
        Where nothing can be read, or ``out`` can't be a corpus.
    RtbciError
        Where the disk is full: what is prepared stays, and the same call goes on from there.
    """
    if workers < 1:
        raise BadInputError(f"there are {workers} workers, but at least 1 has to work.")
    names = () if montage is None else parse_montage(montage)
    tell = progress or _silent
    tell(0.0, "looking for recordings")
    sources = find_sources(data)
    skipped = [s for s in sources if skip is not None and skip(s.origin.subject)]
    wanted = [s for s in sources if s not in skipped]
    _begin(out, config)
    outcomes: list[Outcome] = []
    try:
        todo, left_out = _distinct(wanted, tell)
        made = in_turn if workers == 1 else partial(in_processes, workers=workers)
        for outcome in made(todo, out, config, names, tell):
            outcomes.append(outcome)  # noqa: PERF402 - an error must not lose those before it
    except DiskError as err:
        _stop(out, config, outcomes)
        done = sum(1 for o in outcomes if o.entries)
        raise RtbciError(
            f"{str(err).rstrip('.')}; {done} of {len(wanted)} recordings are prepared and stay "
            "usable: make room and give the same command again, it goes on from there."
        ) from err
    except BaseException:
        _stop(out, config, outcomes)
        raise
    gone = [o.left_out for o in outcomes if o.left_out is not None]
    manifest = replace(
        _manifest(config, outcomes, complete=True),
        left_out=tuple(sorted((*left_out, *gone), key=lambda x: x.source)),
        skipped=tuple(LeftOut(s.place, s.origin.subject, "not asked for") for s in skipped),
    )
    if not manifest.recordings and wanted:
        first = manifest.left_out[0]
        raise BadInputError(
            f"none of the {len(wanted)} recordings can be used; {first.source}, for one, is left "
            f"out because: {first.reason}."
        )
    with writing(out / FILE):
        manifest.write(out)
    return Corpus(out, manifest)


def _begin(out: Path, config: ModelConfig) -> None:
    """Make the folder, and say that it is not finished."""
    if out.exists() and not out.is_dir():
        raise BadInputError(f"{out} is a file; name a folder to write the corpus into.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        strangers = [p.name for p in sorted(out.iterdir())][:3]
        if strangers and not is_corpus(out):
            raise BadInputError(
                f"{out} is no corpus, and it is not empty ({', '.join(strangers)}); name an "
                "empty or a new folder."
            )
        Manifest(settings_of(config), False, ()).write(out)
    except OSError as err:
        raise BadInputError(
            f"{out} can't be written to ({err.strerror}); name another folder with --out."
        ) from err


def _distinct(
    sources: Sequence[Source], tell: Tell
) -> tuple[list[tuple[Source, str]], list[LeftOut]]:
    """Hash recordings; copies of another one, and what can't be read, are left out."""
    todo: list[tuple[Source, str]] = []
    left_out: list[LeftOut] = []
    seen: dict[str, Source] = {}
    for i, source in enumerate(sources):
        tell(0.0, f"looking at {i + 1} of {len(sources)}: {source.path.name}")
        try:
            sha256 = sha256_of(source)
        except BadInputError as err:
            left_out.append(LeftOut(source.place, source.origin.subject, f"unreadable: {err}"))
            continue
        first = seen.setdefault(sha256, source)
        if first is source:
            todo.append((source, sha256))
        else:
            reason = f"the same recording as {first.place}"
            left_out.append(LeftOut(source.place, source.origin.subject, reason))
    return todo, left_out


def _stop(out: Path, config: ModelConfig, outcomes: Sequence[Outcome]) -> None:
    """Write down what there is; a full disk may not even take that."""
    with suppress(OSError):
        _manifest(config, outcomes, complete=False).write(out)


def _manifest(config: ModelConfig, outcomes: Sequence[Outcome], *, complete: bool) -> Manifest:
    entries = sorted((e for o in outcomes for e in o.entries), key=lambda e: e.name)
    return Manifest(_plain(settings_of(config)), complete, tuple(entries))


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _silent(_: float, __: str) -> None:
    pass
