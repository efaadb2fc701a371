"""Works through recordings, in this process or in several, and says how far it is.

Concurrency: the workers are processes with one thread each.  They share a queue on which they say
how far they are, and an event that tells them to stop; Ctrl-C is for their parent alone.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from rtbci.errors import RtbciError
from rtbci.models.config import ModelConfig
from rtbci.models.pretrain.corpus.sources import Source
from rtbci.models.pretrain.corpus.work import Outcome, prepare_source

Tell = Callable[[float, str], None]
"""Told the share that is done, and what is being done."""

_POLL_S = 0.2


def in_turn(
    todo: Sequence[tuple[Source, str]],
    out: Path,
    config: ModelConfig,
    montage: Sequence[str],
    tell: Tell,
) -> Iterator[Outcome]:
    """Prepare recordings, each with its SHA-256, one after the other in this process.

    Raises
    ------
    DiskError
        Where one can't be written.
    """
    sizes = [_size(source) for source, _ in todo]
    total = max(1, sum(sizes))
    with threadpool_limits(1):
        for i, (source, sha256) in enumerate(todo):
            before = sum(sizes[:i])

            def say(share: float, i: int = i, before: int = before) -> None:
                at = (before + share * sizes[i]) / total
                tell(at, f"{i + 1} of {len(todo)}: {todo[i][0].path.name}")

            say(0.0)
            yield prepare_source(source, sha256, out, config, montage, say)
    tell(1.0, f"{len(todo)} of {len(todo)}")


def in_processes(
    todo: Sequence[tuple[Source, str]],
    out: Path,
    config: ModelConfig,
    montage: Sequence[str],
    tell: Tell,
    workers: int,
) -> Iterator[Outcome]:
    """Prepare recordings in several processes; outcomes come in the order of their ends.

    Raises
    ------
    DiskError
        Where one can't be written.
    RtbciError
        Where a process was ended from outside.
    """
    sizes = [_size(source) for source, _ in todo]
    total, shares = max(1, sum(sizes)), [0.0] * len(todo)
    context = get_context("spawn")
    told, stop = context.Queue(), context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(told, stop))
    try:
        # The longest first, or all would wait for it at the end.
        waiting: dict[Future[Outcome], int] = {
            pool.submit(_prepare, i, *todo[i], out, config, montage): i
            for i in sorted(range(len(todo)), key=lambda i: -sizes[i])
        }
        while waiting:
            done, _ = wait(waiting, _POLL_S, FIRST_COMPLETED)
            while not told.empty():
                i, share = told.get()
                shares[i] = max(share, shares[i])
            for future in done:
                shares[waiting.pop(future)] = 1.0
                yield future.result()
            at = sum(share * size for share, size in zip(shares, sizes, strict=True)) / total
            tell(at, f"{len(todo) - len(waiting)} of {len(todo)}, {workers} processes")
    except BrokenProcessPool as err:
        raise RtbciError(
            "a worker process was ended from outside, perhaps because memory ran out; what is "
            "prepared stays: give the same command again, with fewer --workers."
        ) from err
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        told.close()


class _StoppedError(Exception):
    """Raised in a worker that is told to stop."""


_told: Any = None
_stop: Any = None
"""Of a worker: where it says how far it is, and what tells it to stop."""


def _begin(told: Any, stop: Any) -> None:
    """Begin a worker."""
    global _told, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    _told, _stop = told, stop


def _prepare(
    number: int,
    source: Source,
    sha256: str,
    out: Path,
    config: ModelConfig,
    montage: Sequence[str],
) -> Outcome:
    """Prepare a recording in a worker."""

    def say(share: float) -> None:
        if _stop.is_set():
            raise _StoppedError
        _told.put((number, share))

    say(0.0)
    return prepare_source(source, sha256, out, config, montage, say)


def _size(source: Source) -> int:
    """Bytes of a recording's files."""
    sizes = [0]
    for path in source.files():
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return sum(sizes)
