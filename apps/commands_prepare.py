"""``rtbci prepare``: recordings of any make behind the live chain, once, for pretraining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rtbci.apps.entry import INTERRUPTED
from rtbci.apps.options import Json
from rtbci.apps.printing import print_json, progress_bar
from rtbci.models.pretrain.corpus.manifest import Entry

MOST_LINES = 12
"""Recordings that are named one by one; the manifest has them all."""


def prepare(
    data: Annotated[
        list[str],
        typer.Argument(help="Recordings, folders of them, BIDS roots, or moabb:NAME."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 1,
    highpass: Annotated[
        float | None, typer.Option(help="Corner of the causal high-pass, Hz.  [default: 0.5]")
    ] = None,
    size: Annotated[
        str, typer.Option(help="What kind of network it is for (rtbci models).")
    ] = "base",
    montage: Annotated[
        str | None,
        typer.Option(help="What the channels are of recordings that don't say: a name, a list."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prepare recordings for rtbci pretrain: filtered as live, judged, stored compactly."""
    from rtbci.models.config import preset
    from rtbci.models.pretrain.corpus.shards import prepare_corpus

    config = preset(size)
    if highpass is not None:
        chain = replace(config.preprocess, high_pass_hz=highpass)
        config = replace(config, preprocess=chain)
    try:
        with progress_bar(not as_json, remaining=True) as tell:
            corpus = prepare_corpus(
                data, out, config, workers=workers, montage=montage, progress=tell
            )
    except KeyboardInterrupt:
        typer.echo(f"rtbci: stopped by Ctrl-C; the same command goes on with {out}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    manifest = corpus.manifest
    if as_json:
        left_out = [asdict(e) for e in manifest.left_out]
        event = {"event": "summary", "out": str(out), **manifest.totals()}
        print_json({**event, "recordings_left_out": left_out})
        return
    totals = manifest.totals()
    console = Console()
    console.print(
        f"{totals['recordings']} recordings of {totals['subjects']} subjects: "
        f"{totals['hours']:.2f} h, {totals['electrode_hours']:.0f} electrode hours",
        highlight=False,
    )
    table = Table("data set", "recordings", "subjects", "hours", "electrodes", "licence")
    for dataset in sorted({e.dataset for e in manifest.recordings}):
        own = [e for e in manifest.recordings if e.dataset == dataset]
        counts = sorted({len(e.electrodes) for e in own})
        few, many = counts[0], counts[-1]
        table.add_row(
            dataset,
            str(len(own)),
            str(len({e.subject for e in own})),
            f"{sum(e.hours for e in own):.2f}",
            str(few) if few == many else f"{few}-{many}",
            own[0].licence or "?",
        )
    console.print(table)
    bad = [e for e in manifest.recordings if any(_was_bad(r) for r in e.left_out.values())]
    _list(
        "with channels left out that are electrodes",
        [f"{e.source}: {_channels(e.left_out)}" for e in bad],
    )
    _list("left out", [f"{e.source}: {e.reason}" for e in manifest.left_out])
    noted = [f"{e.source}: {note}" for e in manifest.recordings for note in e.notes]
    _list("with notes", noted)
    mixed = _montages(corpus.manifest.recordings)
    _list("subjects with more than one montage", mixed)
    typer.echo(f"corpus: {out}; train on it with: rtbci pretrain {out} --out OUT")


def _was_bad(reason: str) -> bool:
    """Whether a channel was left out for its signal, and not for being none."""
    return not reason.startswith("not an electrode")


def _channels(left_out: dict[str, str]) -> str:
    """Bad channels, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        if _was_bad(reason):
            by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())


def _montages(entries: Sequence[Entry]) -> list[str]:
    """Subjects whose recordings differ in their electrodes."""
    counts = Counter(subject for subject, _ in {(e.subject, e.electrodes) for e in entries})
    return [f"{s}: {n} montages" for s, n in sorted(counts.items()) if n > 1]


def _list(what: str, lines: Sequence[str]) -> None:
    """Name recordings one by one, as long as there are not too many."""
    if not lines:
        return
    typer.echo(f"{len(lines)} {what}:")
    for line in lines[:MOST_LINES]:
        typer.echo(f"  {line}")
    if len(lines) > MOST_LINES:
        typer.echo(f"  and {len(lines) - MOST_LINES} more; the manifest names them all")
