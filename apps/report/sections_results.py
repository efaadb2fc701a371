"""How late the results were, how well the decodes met the cues, and why some were withheld."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import escape

import numpy as np
import numpy.typing as npt

from rtbci.apps.report.chart import Axis, Chart
from rtbci.apps.report.decodes import DecodeFacts, LatencyFacts
from rtbci.apps.report.lanes import Lane, time_axis
from rtbci.apps.report.material import Material
from rtbci.apps.report.trials import TrialFacts
from rtbci.apps.report.words import (
    card,
    class_var,
    class_words,
    clock,
    count,
    folded,
    note,
    swatch,
    table,
)

ROW_S = 60.0
"""Least length of a row of decodes in time."""
MOST_ROWS = 10
MOST_REASONS = 8
HISTOGRAM_BINS = 48
QUANTILES = (50.0, 99.0, 99.9, 100.0)


def latency(made: Material) -> str:
    """Distribution of latencies, and of each stage."""
    facts = made.latency
    if facts is None:
        return ""
    chart = _histogram(facts)
    rows = [_quantile_row("<b>in all</b>", facts.total_ms)]
    rows += [_quantile_row(escape(k), v) for k, v in facts.stages_ms.items()]
    told = table(("ms", "p50", "p99", "p99.9", "longest"), rows, " nnnn")
    sub = (
        f"From the scheduled arrival of a token's last sample to its {facts.of}: "
        "<i>driver</i> until the rows were in hand, <i>queue</i> until they were taken up, "
        "<i>compute</i> the rest."
    )
    notes = []
    if set(facts.stages_ms) == {"compute"}:
        notes.append(note("The source was read faster than life, so only computing counts."))
    if len(facts.total_ms) < 1000:
        said = f"{count(len(facts.total_ms), 'token')}: too few to tell the 999th of a thousand."
        notes.append(note(said))
    return card("Latency", chart.html(), told, _late_when(made, facts), *notes, sub=sub)


def _histogram(facts: LatencyFacts) -> Chart:
    total = np.maximum(facts.total_ms, 0.05)
    low, high = float(total.min()) * 0.8, float(total.max()) * 1.25
    edges = np.geomspace(low, max(high, 2 * low), HISTOGRAM_BINS + 1)
    heights = np.histogram(total, edges)[0].astype(float)
    chart = Chart(
        Axis(float(edges[0]), float(edges[-1]), "ms", log=True),
        Axis(0.0, 1.18 * float(heights.max()), "tokens"),
        190,
        "Histogram of latencies",
    )
    chart.bars(edges, heights, "good")
    p50, p99, p999 = (float(v) for v in np.percentile(total, (50, 99, 99.9)))
    chart.upright(p50, "text", f"p50 {p50:.1f}")
    chart.upright(p99, "fair", f"p99 {p99:.1f}")
    if p999 > 1.25 * p99:
        chart.upright(p999, "bad", "")
        chart.key(f"p99.9 {p999:.1f} ms", "bad", dash=True)
    return chart


def _quantile_row(name: str, values: npt.NDArray[np.float32]) -> tuple[str, ...]:
    known = values[np.isfinite(values)]
    if not len(known):
        return (name, "–", "–", "–", "–")
    return (name, *(f"{v:.1f}" for v in np.percentile(known, QUANTILES)))


def _late_when(made: Material, facts: LatencyFacts) -> str:
    """Longest latency of each piece of the session."""
    if made.signal is None or len(facts.times) < 20:
        return ""
    end = made.signal.seconds
    edges = np.linspace(0.0, end, min(120, len(facts.times) // 4) + 1)
    place = np.clip(np.searchsorted(edges, facts.times - made.begun) - 1, 0, len(edges) - 2)
    worst = np.full(len(edges) - 1, np.nan)
    np.fmax.at(worst, place, facts.total_ms.astype(float))
    lane = Lane(0.0, end)
    lane.steps(edges, worst / np.nanmax(worst), "good", 0.6)
    top = f"longest, up to {np.nanmax(worst):.0f} ms"
    return lane.html(top) + time_axis(0.0, end)


def against_cues(made: Material) -> str:
    """Accuracy with its interval, and the confusion matrix."""
    facts = made.trials
    if facts is None:
        return ""
    low, high = facts.interval
    n, chance = len(facts.trials), 1 / int((facts.confusion.sum(axis=1) > 0).sum())
    tone = "good" if low > chance else ""
    head = (
        f'<p class="verdict {tone}">{facts.balanced:.2f} balanced accuracy, '
        f"95 % interval {low:.2f} to {high:.2f}</p>"
    )
    p = "p &lt; 0.001" if facts.p_value < 0.001 else f"p = {facts.p_value:.3f}"
    sentence = (
        f"{facts.right} of {count(n, 'cue')} decided right; {_abstained(facts)} Chance is "
        f"{chance:.2f} ({p}, exact binomial). "
    )
    if n < 30:
        sentence += "So few trials say little: the interval is what to read."
    if made.decodes is not None and not made.decodes.calibrated:
        sentence += " The decoder is uncalibrated: it has never seen this subject."
    sub = (
        f"One decision a trial, from all decodes whose window of {facts.window_s:g} s lies "
        f"{facts.trial_s[0]:g} to {facts.trial_s[1]:g} s after the cue."
    )
    rows = folded(f"each of the {count(n, 'trial')}", _trial_table(made, facts))
    content = head + f"<p>{sentence}</p>" + _matrix(facts) + rows
    return card("Decodes against cues", content, sub=sub)


def _abstained(facts: TrialFacts) -> str:
    none = int(facts.confusion[:, -1].sum())
    return f"{none} without a decision, which counts as wrong." if none else "none without one."


def _matrix(facts: TrialFacts) -> str:
    classes, table_ = facts.classes, facts.confusion
    columns = [*classes, None] if table_[:, -1].any() else [*classes]
    top = "".join(f"<th>{'none' if c is None else swatch(c, classes)}</th>" for c in columns)
    rows = []
    for i, name in enumerate(classes):
        total = int(table_[i].sum())
        cells = []
        for j in range(len(columns)):
            share = table_[i, j] / total if total else 0.0
            colour = class_var(name, classes) if j == i else "secondary"
            tint = f"color-mix(in srgb, var(--{colour}) {round(70 * share)}%, var(--raised))"
            cells.append(
                f'<td class="cell" style="background:{tint}">{int(table_[i, j])}'
                f"<small>{100 * share:.0f} %</small></td>"
            )
        rows.append(
            f'<tr><th class="row-name">cue {swatch(name, classes)}</th>{"".join(cells)}</tr>'
        )
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><th class="row-name">decided</th>'
        f"{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _trial_table(made: Material, facts: TrialFacts) -> str:
    def rows() -> Iterator[tuple[str, ...]]:
        for trial in facts.trials:
            right = trial.decided == trial.wanted
            decided = "none" if trial.decided is None else swatch(trial.decided, facts.classes)
            mark = '<span class="good">right</span>' if right else '<span class="bad">wrong</span>'
            yield (
                clock(trial.cue - made.begun),
                swatch(trial.wanted, facts.classes),
                decided,
                mark,
                str(trial.decodes),
            )

    head = ("cue at", "asked for", "decided", "", "decodes")
    return f'<div class="long">{table(head, rows(), "n   n")}</div>'


def abstentions(made: Material) -> str:
    """Why there was no probability, and what kept tokens from counting."""
    decodes = made.decodes
    if decodes is None:
        return ""
    n = len(decodes.times)
    valid = int(decodes.valid.sum())
    parts = [
        f"<p>{count(n, 'token')}, {count(n - valid, 'abstention')} ({_share(n - valid, n)}).</p>"
    ]
    kinds = _kinds(decodes)
    if kinds:
        rows = [
            (escape(reason), str(tokens), _share(tokens, n), _meter(tokens / n, "fair"))
            for reason, tokens in kinds[:MOST_REASONS]
        ]
        parts.append(table(("reason", "tokens", "share", ""), rows, " nns"))
        if len(kinds) > MOST_REASONS:
            parts.append(note(f"and {count(len(kinds) - MOST_REASONS, 'rarer reason')}."))
    parts.append("<h3>Artefact flags</h3>")
    if decodes.flags:
        rows = [
            (
                escape(name),
                str(int(where.sum())),
                _share(int(where.sum()), n),
                _meter(float(where.mean()), "third"),
            )
            for name, where in decodes.flags.items()
        ]
        parts.append(table(("what moved", "tokens", "share", ""), rows, " nns"))
        parts.append(note("A token with a flag adds no evidence."))
    elif decodes.calibrated:
        parts.append(note("No token was flagged: neither eyes nor muscle."))
    else:
        parts.append(
            note("None: an uncalibrated decoder does not look for eyes and muscle.", "fair")
        )
    return card("Abstentions and artefacts", *parts)


def _kinds(decodes: DecodeFacts) -> list[tuple[str, int]]:
    """Reasons, those that differ in their figures only taken together."""
    kinds: dict[str, tuple[str, int]] = {}
    counted = Counter(decodes.reasons)
    for reason, tokens in counted.items():
        kind = re.sub(r"\d+(\.\d+)?", "#", reason)
        shown, sofar = kinds.get(kind, (reason, 0))
        kinds[kind] = (shown, sofar + tokens)
    return sorted(kinds.values(), key=lambda item: -item[1])


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _meter(share: float, colour: str) -> str:
    return (
        f'<div class="meter"><i style="width:{100 * float(share):.1f}%;'
        f'background:var(--{colour})"></i></div>'
    )


def in_time(made: Material) -> str:
    """Cues, probabilities and decisions along the session."""
    decodes, signal = made.decodes, made.signal
    if decodes is None or signal is None or not decodes.valid.any():
        return ""
    end = signal.seconds
    n_rows = int(min(MOST_ROWS, max(1, np.ceil(end / ROW_S))))
    length = max(end / n_rows, 1e-3)
    two = len(decodes.classes) == 2
    rows = []
    for i in range(n_rows):
        start, stop = i * length, (i + 1) * length
        rows.append(_row(made, decodes, start, stop, two).html(clock(start), "tall"))
        rows.append(time_axis(start, stop))
    keys = "".join(
        f'<span class="key">{swatch(name, decodes.classes)}</span>' for name in decodes.classes
    )
    said = "Top: what the cue asked for. Bottom: what was decided. "
    if decodes.evidence is not None:
        said += "Line: accumulated evidence of the first class over the second's (log-odds)."
    elif two:
        said += f"Line: probability of {class_words(decodes.classes[0])}, 0 to 1."
    else:
        said += "Lines: probability of each class, 0 to 1."
    return card("Decisions in time", *rows, f'<div class="keys">{keys}</div>', sub=said, wide=True)


def _row(made: Material, decodes: DecodeFacts, start: float, stop: float, two: bool) -> Lane:
    lane = Lane(start, stop)
    if made.trials is not None:
        for trial in made.trials.trials:
            colour = class_var(trial.wanted, decodes.classes)
            begin, ends = trial.cue - made.begun, trial.begin - made.begun
            lane.span(begin, ends + made.trials.trial_s[1], colour, low=0.9, high=1.0)
            lane.span(begin, ends + made.trials.trial_s[1], colour, opacity=0.14)
    hop = made.recording.config.token.hop_s
    for number_, first, last in decodes.runs():
        begin, ends = (float(decodes.times[k]) - made.begun for k in (first, last))
        colour = class_var(decodes.classes[number_], decodes.classes)
        lane.span(begin, ends + hop, colour, low=0.0, high=0.14)
    when = decodes.times - made.begun
    broken = np.flatnonzero(np.diff(when) > 5 * hop) + 1
    if decodes.evidence is not None and two:
        odds = decodes.evidence[:, 0].astype(float)
        most = max(1.0, float(np.nanmax(np.abs(odds))))
        lane.level(0.52, "line")
        lane.line(when, _holes(0.52 + 0.36 * odds / most, broken), "text", 1.2)
        return lane
    shown = (0,) if two else range(len(decodes.classes))
    lane.level(0.52, "line")
    for k in shown:
        colour = "text" if two else class_var(decodes.classes[k], decodes.classes)
        shares = 0.16 + 0.72 * decodes.p[:, k].astype(float)
        lane.line(when, _holes(shares, broken), colour, 1.2)
    return lane


def _holes(values: npt.NDArray[np.float64], at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Break a line where tokens are missing."""
    made = values.copy()
    made[at] = np.nan
    return made
