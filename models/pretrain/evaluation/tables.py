"""Tables of an evaluation of forecasts, for a terminal and as Markdown.

A sheet is a title, a head and rows of texts.  A cell is a mean over subjects and, in brackets, its
bootstrap interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from rtbci.bootstrap import Interval
from rtbci.models.pretrain.evaluation.horizons import BINS, LABELS, POINTS, POINTS_MS
from rtbci.models.pretrain.evaluation.phase import AHEAD_MS
from rtbci.models.pretrain.evaluation.regions import REGIONS, STATES
from rtbci.models.pretrain.evaluation.scores import REFERENCE, ForecastScores
from rtbci.models.pretrain.evaluation.sums import BANDS_HZ, SHOWN_LEVELS

BIN_COLUMNS = range(*BINS.indices(len(LABELS)))
POINT_COLUMNS = range(*POINTS.indices(len(LABELS)))

SAID = {
    "blend": "linear blend",
    "ar": "AR, 60 s",
    "ar 4 s": "AR, 4 s",
    "ridge": "pooled ridge",
    "hold": "filter and hold",
    "mean": "running mean",
    "blend, Gaussian": "blend, Gaussian",
    "ar, Gaussian": "AR, Gaussian",
}
"""What rows are called where it is not their own name."""


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes
    ----------
    title : str
    head : tuple of str
    rows : tuple of tuple of str
    main : bool
        Shown on a terminal, too; the others only on the page.
    note : str
        Stands below it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    main: bool = True
    note: str = ""


Cell = Callable[[int], Interval]


def sheets(scores: ForecastScores) -> list[Sheet]:
    """All tables of an evaluation, in their order."""
    made = [*_errors(scores)]
    if _has_gain(scores):
        made += [_gain(scores), _gain_by_region(scores)]
    made += [_by_region(scores), *_bands(scores), *_intervals(scores)]
    if scores.phase_methods:
        made.append(_phase(scores))
    return [*made, _subjects(scores)]


def _has_gain(scores: ForecastScores) -> bool:
    return "model" in scores.methods and REFERENCE in scores.methods


def _leader(scores: ForecastScores) -> tuple[str, ...]:
    """Methods that stand in tables with few rows."""
    wanted = ("model", "rollout", REFERENCE, "ar", "hold", "mean")
    return tuple(m for m in wanted if m in scores.methods)


def _row(
    name: str, cells: Iterable[Interval], digits: int = 3, signed: bool = False
) -> tuple[str, ...]:
    return (SAID.get(name, name), *(c.text(signed=signed, digits=digits) for c in cells))


def _errors(scores: ForecastScores) -> list[Sheet]:
    made = []
    for what, over in (("bins", BIN_COLUMNS), ("single horizons", POINT_COLUMNS)):
        rows = [_row(m, [scores.error(m, c) for c in over]) for m in scores.methods]
        head = ("ms ahead", *(LABELS[c] for c in over))
        made.append(Sheet(f"Error over variance, {what}", head, tuple(rows)))
    if any(s.robust for s in scores.subjects):
        rows = [_row(m, [scores.robust(m, c) for c in BIN_COLUMNS]) for m in scores.methods]
        made.append(
            Sheet(
                "Robust: squared error over that of the running mean, median over segments",
                ("ms ahead", *LABELS[BINS]),
                tuple(rows),
            )
        )
    return made


def _gain(scores: ForecastScores) -> Sheet:
    rows = [
        (
            LABELS[c],
            f"{scores.error('model', c).mean:.3f}",
            f"{scores.error(REFERENCE, c).mean:.3f}",
            scores.difference(c).text(signed=True),
            scores.percent(c).text(signed=True, digits=1),
        )
        for c in (*BIN_COLUMNS, *POINT_COLUMNS)
    ]
    head = ("ms ahead", "model", "linear blend", "difference [95 %]", "% of the blend's [95 %]")
    return Sheet("Model minus linear blend, paired over subjects", head, tuple(rows))


def _gain_by_region(scores: ForecastScores) -> Sheet:
    rows = []
    for region in REGIONS:
        for state in STATES:
            cells = [scores.percent(c, region, state) for c in BIN_COLUMNS]
            if cells[0].subjects:
                name = region if state == "any" else f"{region}, {state}"
                rows.append(_row(name, cells, digits=1, signed=True))
    return Sheet(
        "Model minus linear blend, % of the blend's error, by region and artefact state",
        ("ms ahead", *LABELS[BINS]),
        tuple(rows),
    )


def _by_region(scores: ForecastScores) -> Sheet:
    rows = []
    for region in REGIONS[1:]:
        for method in _leader(scores):
            cells = [scores.error(method, c, region) for c in BIN_COLUMNS]
            if cells[0].subjects:
                rows.append((f"{region}: {SAID.get(method, method)}", *_row("", cells)[1:]))
    head = ("ms ahead", *LABELS[BINS])
    return Sheet("Error over variance, by region", head, tuple(rows), main=False)


def _bands(scores: ForecastScores) -> list[Sheet]:
    made = []
    for band, (low, high) in BANDS_HZ.items():
        edge = f"up to {high:g} Hz" if low <= 0 else f"{low:g}–{high:g} Hz"
        for what, over in (("bins", BIN_COLUMNS), ("single horizons", POINT_COLUMNS)):
            rows = [_row(m, [scores.band(m, band, c) for c in over]) for m in scores.methods]
            head = ("ms ahead", *(LABELS[c] for c in over))
            title = f"Error over variance in {band} ({edge}), {what}"
            made.append(Sheet(title, head, tuple(rows), main=what == "bins"))
    return made


def _intervals(scores: ForecastScores) -> list[Sheet]:
    n_points = range(len(POINTS_MS))
    head = ("ms ahead", *LABELS[POINTS])
    made = []
    for level in reversed(SHOWN_LEVELS):
        rows = [
            _row(k, [_percent(scores.coverage(k, level, p)) for p in n_points], digits=0)
            for k in scores.kinds
        ]
        made.append(Sheet(_coverage_title(level), head, tuple(rows)))
    first = scores.kinds[0]
    for level in reversed(SHOWN_LEVELS):
        rows = []
        for region in REGIONS:
            for state in STATES:
                cells = [
                    _percent(scores.coverage(first, level, p, region, state)) for p in n_points
                ]
                name = region if state == "any" else f"{region}, {state}"
                rows += [_row(name, cells, digits=0)] if cells[0].subjects else []
        title = f"Coverage of the {100 * level:g} % interval ({first}) by region and state, %"
        made.append(Sheet(title, head, tuple(rows), main=level == max(SHOWN_LEVELS)))
    for what, title in (
        ("crps", "CRPS, standard deviations"),
        ("pinball", "Pinball loss at 0.05 and 0.95, standard deviations"),
    ):
        rows = [_row(k, [scores.loss(what, k, p) for p in n_points]) for k in scores.kinds]
        made.append(Sheet(title, head, tuple(rows), main=what == "crps"))
    return made


def _coverage_title(level: float) -> str:
    return f"Coverage of the {100 * level:g} % interval, %"


def _percent(share: Interval) -> Interval:
    return Interval(100 * share.mean, 100 * share.low, 100 * share.high, share.subjects)


def _phase(scores: ForecastScores) -> Sheet:
    over = range(len(AHEAD_MS))
    rows = [_row(m, [scores.phase(m, a) for a in over], digits=1) for m in scores.phase_methods]
    rows += [
        _row(
            f"{SAID.get(m, m)} minus AR",
            [scores.phase(m, a, "ar") for a in over],
            digits=1,
            signed=True,
        )
        for m in scores.phase_methods
        if m != "ar"
    ]
    share = sum(s.mu_share for s in scores.subjects if s.phase)
    known = sum(bool(s.phase) for s in scores.subjects)
    return Sheet(
        "Phase of mu (8–13 Hz), central electrodes: mean absolute error, degrees",
        ("ms after now", *map(str, AHEAD_MS)),
        tuple(rows),
        note=(
            f"{known} of {len(scores.subjects)} subjects; mu stood out at "
            f"{100 * share / max(known, 1):.0f} % of their electrodes and moments. "
            "90 degrees is chance."
        ),
    )


def _subjects(scores: ForecastScores) -> Sheet:
    rows = []
    gain = _has_gain(scores)
    for i, s in enumerate(scores.subjects):
        cells = []
        for c in BIN_COLUMNS if gain else ():
            model, blend = (scores.values(m, c)[i] for m in ("model", REFERENCE))
            cells.append(f"{100 * (model / blend - 1):+.1f}")
        rows.append(
            (s.subject, s.weights[:8], f"{s.seconds:.0f}", f"{100 * s.artefacts:.0f}", *cells)
        )
    head = ("subject", "weights", "s", "artefacts, %", *(LABELS[BINS] if gain else ()))
    title = "Subjects" + (": model minus linear blend, % of the blend's error" if gain else "")
    return Sheet(title, head, tuple(rows), main=False)


def card(scores: ForecastScores) -> list[Sheet]:
    """Tables for the card of the weights: what a reader looks for first."""
    shown = [m for m in scores.methods if m not in ("ar 4 s", "own ridge")]
    gain = _has_gain(scores)
    rows = []
    for c in BIN_COLUMNS:
        beside = (
            (scores.difference(c).text(signed=True), scores.percent(c).text(signed=True, digits=1))
            if gain
            else ()
        )
        rows.append((LABELS[c], *(f"{scores.error(m, c).mean:.3f}" for m in shown), *beside))
    head = ("horizon, ms", *(SAID.get(m, m) for m in shown))
    head += ("model minus blend [95 %]", "in % [95 %]") if gain else ()
    made = [Sheet("Error over variance, mean over subjects", head, tuple(rows))]
    if gain:
        regions = _gain_by_region(scores)
        made.append(
            Sheet(
                "Model minus linear blend, % of the blend's error [95 %], by region",
                regions.head,
                tuple(r for r in regions.rows if r[0].partition(",")[0] in ("central", "frontal")),
            )
        )
    for sheet in _intervals(scores):
        if sheet.title == _coverage_title(max(SHOWN_LEVELS)):
            means = [(r[0], *(c.partition(" ")[0] for c in r[1:])) for r in sheet.rows]
            made.append(replace(sheet, rows=tuple(means)))
    return [*made, _phase(scores)] if scores.phase_methods else made


def markdown(sheet: Sheet) -> list[str]:
    """Lines of one table."""
    lines = [f"| {' | '.join(sheet.head)} |", f"|{'---|' * len(sheet.head)}"]
    lines += [f"| {' | '.join(row)} |" for row in sheet.rows]
    return [*lines, *(("", sheet.note) if sheet.note else ())]
