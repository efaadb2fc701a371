"""Batches drawn ahead of the loop that trains on them, in their order.

Threads, not processes: nearly all of a draw is numpy at work on arrays, which lets other threads
run, and threads share the memory maps.  What is drawn depends on step and part alone, so that
neither the number of threads nor how far they are ahead changes anything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from rtbci.models.pretrain.training.batches import Batch

AHEAD = 2
"""Batches that wait for each thread."""


class Loader:
    """Gives drawn batches; a context manager, since its threads must end.

    Parameters
    ----------
    draw : callable
        From step and part to a batch; runs in threads.
    order : iterator of (int, int)
        Steps and parts, in the order in which they are asked for.
    workers : int
        Threads; with 0 a batch is drawn when it is asked for.

    Attributes
    ----------
    waited_s : float
        Time that :meth:`next` took: what the training lost by waiting for data.
    """

    def __init__(
        self, draw: Callable[[int, int], Batch], order: Iterator[tuple[int, int]], workers: int
    ) -> None:
        self._draw = draw
        self._order = order
        self._pool = ThreadPoolExecutor(workers, "draw") if workers else None
        self._ahead = AHEAD * workers
        self._drawn: deque[Future[Batch]] = deque()
        self.waited_s = 0.0

    def __enter__(self) -> Loader:
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def next(self) -> Batch:
        """Give the next batch.

        Raises
        ------
        StopIteration
            Behind the last one.
        """
        began = time.monotonic()
        if self._pool is None:
            batch = self._draw(*next(self._order))
        else:
            if not self._drawn:
                raise StopIteration
            batch = self._drawn.popleft().result()
            self._fill()
        self.waited_s += time.monotonic() - began
        return batch

    def _fill(self) -> None:
        while self._pool is not None and len(self._drawn) < self._ahead:
            at = next(self._order, None)
            if at is None:
                return
            self._drawn.append(self._pool.submit(self._draw, *at))
