"""The connection to a FieldTrip buffer, by mne-realtime's protocol client.

``mne_realtime.FieldTripClient`` connects without a time-out and, when its server goes away in the
middle of an answer, reads nothing for ever at full speed.  Its protocol client
(``FieldTripClient.ft_client``) is used here by itself, over a socket that can fail.

Concurrency: one thread at a time; :meth:`BufferLink.close` may come from another one and ends
whatever the first waits for.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.errors import BadInputError, SourceError

BLOCK = 4096
"""Rows that are asked for at once."""


@dataclass(frozen=True)
class Header:
    """What a buffer says of its contents.

    Attributes
    ----------
    n_channels : int
    rate : float
        Hz.
    labels : tuple of str
        Empty where it has none.
    resolutions : tuple of float
        What integers are multiplied by, one a channel; empty where not stated.
    integer : bool
        Whether samples are integers.
    n_samples, n_events : int
        Put into the buffer so far.
    """

    n_channels: int
    rate: float
    labels: tuple[str, ...]
    resolutions: tuple[float, ...]
    integer: bool
    n_samples: int
    n_events: int

    def same_stream(self, other: Header) -> bool:
        """Whether channels and rate are the same."""
        mine = (self.n_channels, self.rate, self.labels, self.resolutions, self.integer)
        return mine == (
            other.n_channels, other.rate, other.labels, other.resolutions, other.integer
        )  # fmt: skip


class BufferLink:
    """An open connection.

    Parameters
    ----------
    host : str
    port : int
    timeout_s : float
        For the connection and each answer, until :meth:`wait_for_ever`.

    Raises
    ------
    SourceError
        Where nobody listens, or no answer comes.
    BadInputError
        Where the host is not known.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.where = f"{host}:{port}"
        self._timeout_s = timeout_s
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except socket.gaierror as err:
            raise BadInputError(
                f"host {host!r} of the FieldTrip buffer is not known ({err.strerror}); check its "
                "spelling or give its address."
            ) from err
        except OSError as err:
            why = err.strerror or f"no answer in {timeout_s:g} s"
            raise SourceError(
                f"no FieldTrip buffer can be reached at {self.where} ({why}); start it, or check "
                "host and port (FieldTrip's own is 1972)."
            ) from err
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = _protocol_client()
        self._client.sock = _FailingSocket(self._socket)
        self._client.isConnected = True

    def header(self) -> Header:
        """Ask for the header.

        Raises
        ------
        SourceError
            Where there is none yet, or what answers is no FieldTrip buffer.
        """
        try:
            said = self._client.getHeader()
            if said is not None:
                return _header(said)
        except TimeoutError as err:
            raise SourceError(
                f"the FieldTrip buffer at {self.where} gave no answer in {self._timeout_s:g} s; "
                "is it stalled, or is something else listening there?"
            ) from err
        except (OSError, struct.error, ValueError, IndexError) as err:
            raise SourceError(
                f"what listens at {self.where} does not answer as a FieldTrip buffer does "
                f"({err}); check host and port."
            ) from err
        raise SourceError(
            f"the FieldTrip buffer at {self.where} holds no data yet; start the acquisition that "
            "fills it."
        )

    def wait_for_ever(self) -> None:
        """Let answers take as long as they do from now on: silence is the watchdog's affair."""
        self._socket.settimeout(None)

    def wait(self, n_samples: int, n_events: int, timeout_s: float) -> tuple[int, int]:
        """Wait until the buffer has had more samples or events than these.

        Returns
        -------
        n_samples, n_events : int
            Put into the buffer so far.
        """
        n, e = self._client.wait(n_samples, n_events, round(timeout_s * 1000))
        return int(n), int(e)

    def rows(self, start: int, stop: int) -> npt.NDArray[Any] | None:
        """Give rows, (n_times, n_channels), at most :data:`BLOCK`; None where they are gone."""
        if stop - start > BLOCK:
            raise ValueError(f"at most {BLOCK} rows at once, got {stop - start}")
        found = self._client.getData((start, stop - 1))
        return None if found is None else np.asarray(found)

    def oldest(self, start: int, stop: int) -> int:
        """First row of ``start`` to ``stop`` that the buffer still holds; ``stop`` if none."""
        gone, held = start - 1, stop
        while held - gone > 1:
            middle = (gone + held) // 2
            if self.rows(middle, middle + 1) is None:
                gone = middle
            else:
                held = middle
        return held

    def events(self, start: int, stop: int) -> list[Any]:
        """Give ``mne_realtime``'s events of these numbers; none where they are gone."""
        return list(self._client.getEvents((start, stop - 1)))

    def close(self) -> None:
        """Hang up; a call that waits in another thread ends with an ``OSError``."""
        with contextlib.suppress(OSError):  # the other side may have hung up already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class _FailingSocket:
    """A socket whose ``recv`` fails where the other side has hung up, instead of giving nothing."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner

    def recv(self, n: int) -> bytes:
        data = self._inner.recv(n)
        if not data:
            raise ConnectionError("the other side has hung up")
        return data

    def send(self, data: bytes) -> int:
        return self._inner.send(data)

    def close(self) -> None:
        self._inner.close()


def _protocol_client() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is discontinued
        from mne_realtime.externals.FieldTrip import Client
    return Client()


def _header(said: Any) -> Header:
    from mne_realtime.externals import FieldTrip

    integer = said.dataType < FieldTrip.DATATYPE_FLOAT32
    chunk = said.chunks.get(FieldTrip.CHUNK_RESOLUTIONS, b"")
    resolutions: tuple[float, ...] = ()
    if integer and len(chunk) >= 8 * said.nChannels:
        resolutions = tuple(np.frombuffer(chunk, np.float64, said.nChannels).tolist())
    return Header(
        n_channels=int(said.nChannels),
        rate=float(said.fSample),
        labels=tuple(said.labels),
        resolutions=resolutions,
        integer=integer,
        n_samples=int(said.nSamples),
        n_events=int(said.nEvents),
    )
