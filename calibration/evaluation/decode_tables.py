"""Tables of an evaluation of decoders: for a terminal, for machines, and as a page of Markdown.

No row stands alone: every table has the controls below the decoders, and the paired difference
to the best classic decoder of the subject's own trials beside the score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rtbci.bootstrap import FEW_SUBJECTS, Interval, bootstrap, paired
from rtbci.calibration.decoders.catalogue import AUTO_NAME
from rtbci.calibration.evaluation.decode import BETTER, CLASSIC, CONTAMINATED, Standing
from rtbci.calibration.evaluation.protocols import Protocol
from rtbci.calibration.scoring.metrics import Metrics


@dataclass(frozen=True)
class Row:
    """One decoder under one condition, over subjects.

    Attributes
    ----------
    decoder : str
    control : bool
    balanced : Interval
        Balanced accuracy.
    difference : Interval | None
        To the best classic decoder, paired over subjects; None for that one itself and where
        there is none.
    kappa, auc, itr_bits_min : float
        Means over subjects.
    contaminated : int
        Subjects that it saw while it was pretrained; they count for nothing.
    note : str
        Why it has no score, or what ``auto`` chose.
    """

    decoder: str
    control: bool
    balanced: Interval
    difference: Interval | None
    kappa: float
    auc: float
    itr_bits_min: float
    contaminated: int = 0
    note: str = ""


@dataclass(frozen=True)
class Table:
    """All decoders under one condition.

    Attributes
    ----------
    protocol : Protocol
    task, electrodes, condition : str
    reference : str
        The best classic decoder; empty where there is none.
    rows : tuple of Row
    beside : Interval | None
        ``auto`` minus the better of own and population; None where not both were scored.
    """

    protocol: Protocol
    task: str
    electrodes: str
    condition: str
    reference: str
    rows: tuple[Row, ...]
    beside: Interval | None = None

    @property
    def subjects(self) -> int:
        """Most subjects that a row has."""
        return max((r.balanced.subjects for r in self.rows), default=0)


def tables(standing: Standing) -> list[Table]:
    """All tables of an evaluation, in the order in which they were made."""
    keys = dict.fromkeys((c.protocol, c.task, c.electrodes, c.condition) for c in standing.cells)
    order = {p: i for i, p in enumerate(standing.protocols)}
    return [_table(standing, *key) for key in sorted(keys, key=lambda k: (order[k[0]], k[1]))]


def _table(
    standing: Standing, protocol: Protocol, task: str, electrodes: str, condition: str
) -> Table:
    names = (*standing.decoders, BETTER, *standing.controls)
    scores = {n: standing.scores(protocol, task, electrodes, condition, n) for n in names}
    balanced = {n: {s: m.balanced for s, m in found.items()} for n, found in scores.items()}
    classic = {n: bootstrap(list(balanced[n].values())).mean for n in CLASSIC if balanced.get(n)}
    reference = max(classic, key=lambda n: classic[n]) if classic else ""
    rows = []
    for name in names:
        cells = [
            c
            for c in standing.cells
            if (c.protocol, c.task, c.electrodes, c.condition, c.decoder)
            == (protocol, task, electrodes, condition, name)
        ]
        if not cells:
            continue
        notes = Counter(c.note for c in cells if c.note and c.note != CONTAMINATED)
        chosen = Counter(k for c in cells for k in c.chosen)
        said = (
            [f"chose {', '.join(f'{k} {n}x' for k, n in chosen.most_common())}"] if chosen else []
        )
        said += [f"{n} subjects: {why}" for why, n in notes.items()]
        rows.append(
            Row(
                decoder=name,
                control=name in standing.controls,
                balanced=bootstrap(list(balanced[name].values())),
                difference=(
                    paired(balanced[name], balanced[reference])
                    if reference and name != reference
                    else None
                ),
                **_means(list(scores[name].values())),
                contaminated=sum(c.note == CONTAMINATED for c in cells),
                note="; ".join(said),
            )
        )
    both = balanced.get(AUTO_NAME) and balanced[BETTER]
    beside = paired(balanced[AUTO_NAME], balanced[BETTER]) if both else None
    return Table(protocol, task, electrodes, condition, reference, tuple(rows), beside)


def footnote(table: Table) -> str:
    """What stands below a table; empty where there is nothing to say."""
    if table.beside is None:
        return ""
    return f"{AUTO_NAME} minus the {BETTER}: {table.beside.text(signed=True)}."


def _means(found: Sequence[Metrics]) -> dict[str, float]:
    n = max(1, len(found))
    return {k: sum(getattr(m, k) for m in found) / n for k in ("kappa", "auc", "itr_bits_min")}


def to_dict(standing: Standing) -> dict[str, Any]:
    """Plain values for ``--json``: every table, and every subject's score."""
    return {
        "tables": [
            {**asdict(t), "protocol": t.protocol.value, "subjects": t.subjects}
            for t in tables(standing)
        ],
        "cells": [c.to_dict() for c in standing.cells],
        "trials": standing.trials,
        "rejected": standing.rejected,
    }


def title(table: Table) -> str:
    """What a table is of, in one line."""
    return (
        f"{table.task}, {table.electrodes} electrodes, {table.protocol.value}: {table.condition} "
        f"({table.subjects} subjects)"
    )


def columns(table: Table) -> tuple[str, ...]:
    """Heads of a table's columns."""
    beside = f"minus {table.reference} [95 %]" if table.reference else "difference"
    return ("decoder", "balanced accuracy [95 %]", beside, "kappa", "AUC", "bits/min", "")


def values(row: Row) -> tuple[str, ...]:
    """One row's texts, in the order of :func:`columns`."""
    note = row.note
    if row.contaminated:
        note = f"{CONTAMINATED}: saw {row.contaminated} subjects" + (f"; {note}" if note else "")
    if not row.balanced.subjects:
        return (row.decoder, "–", "", "", "", "", note)
    return (
        f"control: {row.decoder}" if row.control else row.decoder,
        row.balanced.text(),
        row.difference.text(signed=True) if row.difference else "",
        f"{row.kappa:.2f}",
        f"{row.auc:.2f}",
        "" if row.control else f"{row.itr_bits_min:.2f}",
        note,
    )


OVERVIEW = ("zero-shot", "population", AUTO_NAME)
"""Decoders that the first table of a page shows beside the best classic one."""


def overview(made: Sequence[Table]) -> list[str]:
    """One line for each table: the figures that a reader looks for first, as Markdown."""
    head = (
        "task",
        "electrodes",
        "calibration",
        "subjects",
        "best classic",
        *OVERVIEW,
        f"{AUTO_NAME} minus best classic [95 %]",
        f"{AUTO_NAME} minus {BETTER} [95 %]",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for table in made:
        rows = {r.decoder: r for r in table.rows if r.balanced.subjects}
        best, auto = rows.get(table.reference), rows.get(AUTO_NAME)
        cells = [
            table.task,
            table.electrodes,
            table.condition,
            str(table.subjects),
            f"{best.balanced.mean:.3f} ({best.decoder})" if best else "",
            *(f"{rows[n].balanced.mean:.3f}" if n in rows else "" for n in OVERVIEW),
            auto.difference.text(signed=True) if auto and auto.difference else "",
            table.beside.text(signed=True) if table.beside else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(standing: Standing, commands: Sequence[str]) -> str:
    """Write an evaluation as Markdown.

    Parameters
    ----------
    commands : sequence of str
        That made it; they stand above the tables.
    """
    made = [
        "# Decoding: what calibration can buy",
        "",
        "Made by",
        "",
        *(f"    {command}" for command in commands),
        "",
        "Every row of a table is scored on the same trials of the same subjects. Balanced",
        "accuracy, kappa, AUC and Wolpaw's bits a minute are of one decision a trial; means are",
        "over subjects, intervals are bootstrap intervals over subjects (10 000 resamples),",
        "differences are paired. What a decoder learns from other people's trials never includes",
        "the subject that it is scored on. Where calibration is by runs, each choice of runs is",
        "taken in turn and scored on the subject's other runs. `no label` gives a decoder the",
        "calibration trials without their labels. `+bias`: a slow causal mean of the decoder's own",
        "past decisions (0.05 a trial, no labels) is subtracted. `better of own and population`",
        "is the decoder that one half of the test trials speaks for, scored on the other half, and",
        "the other way round. The controls say what else than motor cortex tells the classes",
        "apart: where one reaches the decoders, so may eyes or muscle.",
        "",
    ]
    every = tables(standing)
    made += ["## At a glance", "", *overview(every), ""]
    last = None
    for table in every:
        if (table.protocol, table.task) != last:
            last = (table.protocol, table.task)
            lost = standing.rejected[table.task]
            made += [
                f"## {table.task}: {table.protocol.value}",
                "",
                f"{standing.trials[table.task]} trials"
                + (f"; {lost} left out as too bad" if lost else "")
                + ".",
                "",
            ]
        few = " Few subjects: the interval is too narrow." if table.subjects < FEW_SUBJECTS else ""
        made += [f"### {title(table)}", ""]
        if few:
            made += [few.strip(), ""]
        head = columns(table)
        made += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        made += [f"| {' | '.join(values(row))} |" for row in table.rows]
        made.append("")
        if note := footnote(table):
            made += [note, ""]
    return "\n".join(made)
