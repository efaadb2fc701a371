"""A FieldTrip buffer in a process of its own, filled at a true rate by an amplifier of its own.

Column 0 holds the number of the row; the others 2 units.  Row 100 n has the event
``stimulus``/``T{n}``.  Requests: PUT_HDR, PUT_DAT, PUT_EVT, GET_HDR, GET_DAT, GET_EVT, WAIT_DAT
(protocol version 1, https://www.fieldtriptoolbox.org/development/realtime/buffer_protocol).

    python fieldtrip_buffer.py '{"port": 0, ...}'
"""

from __future__ import annotations

import json
import socketserver
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace

from sending import SenderProcess

PUT_HDR, PUT_DAT, PUT_EVT, PUT_OK, PUT_ERR = 0x101, 0x102, 0x103, 0x104, 0x105
GET_HDR, GET_DAT, GET_EVT, GET_OK, GET_ERR = 0x201, 0x202, 0x203, 0x204, 0x205
WAIT_DAT, WAIT_OK = 0x402, 0x404
NAMES, RESOLUTIONS = 1, 3
INT16, INT32, FLOAT32 = 6, 7, 9
PACK = {INT16: "h", INT32: "i", FLOAT32: "f"}


@dataclass(frozen=True)
class BufferSpec:
    """What is served.

    Attributes
    ----------
    port : int
        0 for any.
    rate : float
        Hz; nothing is put into the buffer where 0.
    capacity : int
        Rows that the ring holds.
    resolution : float
        Of integer samples; not stated where 0.
    """

    port: int = 0
    rate: float = 250.0
    labels: tuple[str, ...] = ("Index", "C3", "Cz")
    named: bool = True
    data_type: int = FLOAT32
    resolution: float = 0.0
    capacity: int = 100_000


class FieldTripBuffer(SenderProcess):
    """The process that serves; use as a context manager."""

    def __init__(self, spec: BufferSpec | None = None) -> None:
        self.spec = spec or BufferSpec()

    @property
    def port(self) -> int:
        return self.spec.port

    def arguments(self) -> list[str]:
        """Give this program, with the same port after a restart."""
        return [__file__, json.dumps(asdict(self.spec))]

    def ready(self, said: str) -> None:
        """It says where it listens."""
        self.spec = replace(self.spec, port=int(said))


class Contents:
    """Header, rows and events; everything under one lock."""

    def __init__(self, capacity: int) -> None:
        self.changed = threading.Condition()
        self.capacity = capacity
        self.fixed: tuple[int, float, int, bytes] | None = None
        self.rows: list[bytes] = []
        self.n_rows = 0
        self.events: list[bytes] = []

    def put_header(self, payload: bytes) -> None:
        n_channels, _, _, rate, data_type, _ = struct.unpack("IIIfII", payload[:24])
        self.fixed = (n_channels, rate, data_type, payload[24:])
        self.rows, self.n_rows, self.events = [], 0, []

    def put_rows(self, rows: list[bytes]) -> None:
        self.rows = (self.rows + rows)[-self.capacity :]
        self.n_rows += len(rows)

    def answer(self, command: int, payload: bytes) -> tuple[int, bytes]:
        """Answer one request; the lock is held."""
        if command == PUT_HDR:
            self.put_header(payload)
            return PUT_OK, b""
        if self.fixed is None:
            return (GET_ERR if command >= GET_HDR else PUT_ERR), b""
        n_channels, rate, data_type, chunks = self.fixed
        if command == PUT_DAT:
            _, n, _, size = struct.unpack("IIII", payload[:16])
            step = size // max(1, n)
            self.put_rows([payload[16 + i * step : 16 + (i + 1) * step] for i in range(n)])
            return PUT_OK, b""
        if command == PUT_EVT:
            self.events.append(payload)
            return PUT_OK, b""
        if command == GET_HDR:
            counts = (n_channels, self.n_rows, len(self.events), rate, data_type, len(chunks))
            return GET_OK, struct.pack("IIIfII", *counts) + chunks
        oldest = self.n_rows - len(self.rows)
        first, last = oldest, self.n_rows - 1
        if command == GET_DAT:
            if payload:
                first, last = struct.unpack("II", payload)
            if first < oldest or last >= self.n_rows or last < first:
                return GET_ERR, b""
            body = b"".join(self.rows[first - oldest : last - oldest + 1])
            head = struct.pack("IIII", n_channels, last - first + 1, data_type, len(body))
            return GET_OK, head + body
        if command == GET_EVT:
            first, last = struct.unpack("II", payload) if payload else (0, len(self.events) - 1)
            if last >= len(self.events) or last < first:
                return GET_ERR, b""
            return GET_OK, b"".join(self.events[first : last + 1])
        return GET_ERR, b""

    def wait(self, payload: bytes) -> tuple[int, bytes]:
        """Answer once there is more than the client knows, or its time is up."""
        n_rows, n_events, milliseconds = struct.unpack("III", payload)
        self.changed.wait_for(
            lambda: self.n_rows > n_rows or len(self.events) > n_events, milliseconds / 1000
        )
        return WAIT_OK, struct.pack("II", self.n_rows, len(self.events))


class Handler(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        contents: Contents = self.server.contents  # type: ignore[attr-defined]
        while True:
            head = self._take(8)
            if len(head) < 8:
                return
            _, command, size = struct.unpack("HHI", head)
            payload = self._take(size)
            with contents.changed:
                if command == WAIT_DAT:
                    status, body = contents.wait(payload)
                else:
                    status, body = contents.answer(command, payload)
                    contents.changed.notify_all()
            self.request.sendall(struct.pack("HHI", 1, status, len(body)) + body)

    def _take(self, n: int) -> bytes:
        taken = b""
        while len(taken) < n:
            more = self.request.recv(n - len(taken))
            if not more:
                return b""
            taken += more
        return taken


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def header_payload(spec: BufferSpec) -> bytes:
    """PUT_HDR's payload."""
    chunks = b""
    if spec.named:
        names = b"".join(label.encode() + b"\0" for label in spec.labels)
        chunks += struct.pack("II", NAMES, len(names)) + names
    if spec.resolution:
        values = struct.pack(f"{len(spec.labels)}d", *[spec.resolution] * len(spec.labels))
        chunks += struct.pack("II", RESOLUTIONS, len(values)) + values
    counts = (len(spec.labels), 0, 0, spec.rate, spec.data_type, len(chunks))
    return struct.pack("IIIfII", *counts) + chunks


def event_payload(row: int, kind: str, value: str, duration: int = 0) -> bytes:
    """One event with text for type and value."""
    body = kind.encode() + value.encode()
    counts = (0, len(kind), 0, len(value), row, 0, duration, len(body))
    return struct.pack("IIIIIiiI", *counts) + body


def main() -> None:
    """Serve until killed."""
    spec = BufferSpec(**json.loads(sys.argv[1]))
    contents = Contents(spec.capacity)
    with Server(("127.0.0.1", spec.port), Handler) as server:
        server.contents = contents  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if spec.rate:
            contents.put_header(header_payload(spec))
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        start, n, row_format = time.monotonic(), 0, PACK[spec.data_type] * len(spec.labels)
        others = [2] * (len(spec.labels) - 1)
        while True:
            due = int((time.monotonic() - start) * spec.rate)
            with contents.changed:
                contents.put_rows([struct.pack(row_format, k, *others) for k in range(n, due)])
                for k in range(n, due):
                    if k % 100 == 0:
                        contents.events.append(event_payload(k, "stimulus", f"T{k // 100}", 25))
                contents.changed.notify_all()
            n = due
            time.sleep(0.01)


if __name__ == "__main__":
    main()
