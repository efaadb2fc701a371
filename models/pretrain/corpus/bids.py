"""What stands beside a recording that is kept as BIDS has it: channels.tsv and events.tsv.

A table further up holds for all files whose names have its entities (the inheritance principle of
BIDS 1.9).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from rtbci.models.pretrain.corpus.sources import bids_root
from rtbci.montage import normalise
from rtbci.types import Marker

NAMED = re.compile(r"^(?P<entities>sub-.*)_(?:eeg|ieeg)$")
"""Names of recordings."""


def bad_channels(path: Path) -> dict[str, str]:
    """Channels that channels.tsv says are bad, or no EEG, with the reason; by their usual names."""
    found = {}
    for row in _table(path, "channels.tsv"):
        name, kind = normalise(row.get("name", "")), row.get("type", "EEG").upper()
        if row.get("status", "").lower() == "bad":
            why = row.get("status_description", "")
            found[name] = "bad in channels.tsv" + (f": {why}" if why not in ("", "n/a") else "")
        elif kind not in ("EEG", "N/A", ""):
            found[name] = f"not an electrode ({kind} in channels.tsv)"
    return found


def events(path: Path) -> tuple[Marker, ...]:
    """Events of events.tsv, in order; none where there is no such table."""
    found = []
    for row in _table(path, "events.tsv"):
        label = next((row[k] for k in ("trial_type", "value") if row.get(k, "n/a") != "n/a"), "")
        try:
            onset, duration = float(row["onset"]), row.get("duration", "n/a")
            length = 0.0 if duration in ("n/a", "") else float(duration)
        except (KeyError, ValueError):
            continue
        if label:
            found.append(Marker(onset, label, length))
    return tuple(sorted(found, key=lambda m: m.time))


def _table(path: Path, suffix: str) -> list[dict[str, str]]:
    """Rows of the nearest table that holds for a recording; none where there is none."""
    match = NAMED.match(path.name.split(".", 1)[0])
    root = bids_root(path)
    if match is None or root is None:
        return []
    own = set(match["entities"].split("_"))
    for folder in (path.absolute().parent, *path.absolute().parents):
        for table in sorted(folder.glob(f"*{suffix}"), key=lambda p: -len(p.name)):
            entities = set(table.name.removesuffix(suffix).strip("_").split("_")) - {""}
            if entities <= own:
                return _rows(table)
        if folder == root:
            break
    return []


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            return [{k: (v or "").strip() for k, v in row.items() if k} for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
