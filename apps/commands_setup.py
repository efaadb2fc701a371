"""``rtbci boards``, ``streams`` and ``models``: what is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from rtbci.apps.options import Json
from rtbci.apps.printing import print_json
from rtbci.apps.view import FAINT


def boards(as_json: Json = False) -> None:
    """List the boards that can be named, and the serial ports that are there."""
    from rtbci.sources.boards import list_boards
    from rtbci.sources.ports import list_ports

    known, ports = list_boards(), list_ports()
    if as_json:
        print_json({"boards": [asdict(b) for b in known], "ports": [asdict(p) for p in ports]})
        return
    console = Console()
    table = Table("name", "id", "electrodes", "Hz", "reached by", title="Boards (--board NAME)")
    for board in known:
        table.add_row(
            board.name, str(board.id), str(board.n_eeg), f"{board.rate:g}", board.transport
        )
    console.print(table)
    if not ports:
        console.print("No serial port is there.", style=FAINT)
        return
    found = Table("port", "device", "can be opened", title="Serial ports (--serial-port PORT)")
    for port in ports:
        found.add_row(
            port.path, port.description, "; ".join(p.what for p in port.problems) or "yes"
        )
    console.print(found)


def streams(
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to listen.")] = 1.0,
    as_json: Json = False,
) -> None:
    """List the LSL streams on the network."""
    from rtbci.sources.lsl import list_streams

    found = list_streams(wait)
    if as_json:
        print_json({"streams": [asdict(s) for s in found]})
        return
    console = Console()
    if not found:
        console.print("No LSL stream answers. Is the sender on, and on the same network?")
        return
    table = Table("name", "type", "channels", "Hz", "source_id", "host", title="LSL (--lsl NAME)")
    for s in found:
        rate = f"{s.rate:g}" if s.rate else "irregular"
        table.add_row(s.name, s.type, str(s.n_channels), rate, s.source_id, s.host)
    console.print(table)


def models(as_json: Json = False) -> None:
    """List the sizes of the network and the weights at hand."""
    from rtbci.models.listing import DIFFERENCES, list_sizes, list_weights

    sizes, weights = list_sizes(), list_weights()
    if as_json:
        print_json({"sizes": [asdict(s) for s in sizes], "weights": [asdict(w) for w in weights]})
        return
    console = Console()
    table = Table(
        title="Sizes (rtbci pretrain --size), parameters in millions",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("size", no_wrap=True)
    for name in ("layers", "width", "encoder", "forecast", "graph", "all"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("paper", justify="right", no_wrap=True, style=FAINT)
    for size in sizes:
        counts = (f"{size.layers}+{size.teg_layers}", f"{size.dim}/{size.heads}")
        parts = (size.encoder, size.forecast, size.graph, size.parameters, size.paper_parameters)
        table.add_row(size.name, *counts, *map(_millions, parts))
    console.print(table)
    console.print(DIFFERENCES, style=FAINT)
    there = Table("name", "hash", "parameters", "decodes", title="Weights (--model NAME)")
    for w in weights:
        there.add_row(w.name, w.hash[:12], f"{w.parameters:,}", ", ".join(w.classes) or "–")
    there.add_row("ar", "–", "–", "–")
    console.print(there)


def _millions(count: int | None) -> str:
    """Three digits of a count, in millions."""
    if count is None:
        return "–"
    return f"{count / 1e6:.{3 if count < 1e6 else 2 if count < 1e8 else 0}f}"
