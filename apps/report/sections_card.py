"""The calibration card of the decoder: verdict, control table, what it reads."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rtbci.apps.report.chart import Axis, Chart
from rtbci.apps.report.head import can_show, head_map
from rtbci.apps.report.material import Material
from rtbci.apps.report.words import card, class_words, count, note, number, table

if TYPE_CHECKING:
    from rtbci.calibration.card import Card

FINDING_TONES = {"above chance": "good", "can't tell yet": "fair", "practically at chance": "bad"}


def calibration(made: Material) -> str:
    """The decoder's card; nothing where there is none."""
    about = made.card
    if about is None:
        return ""
    what = "that decoded here" if made.card_is == "used" else "that was fitted on this recording"
    sub = (
        f"{escape(about.subject)}: {escape(about.decoder)} on "
        f"{count(len(about.electrodes), 'electrode')}, the decoder {what}; calibrated "
        f"{escape(about.created[:10])}."
    )
    parts = [_verdict(about), _score(about)]
    left = "<h3>Control table: what else would give this score</h3>" + _controls(about)
    right = _curve(about) + _candidates(about)
    parts.append(f'<div class="columns"><div>{left}</div><div>{right}</div></div>')
    parts += [_patterns(about), _rest(about)]
    return card("Calibration", *parts, sub=sub, wide=True)


def _verdict(about: Card) -> str:
    found = about.verdict
    if found is None:
        return '<p class="verdict">no verdict: it was calibrated by an earlier version</p>'
    said, *_ = found.lines()
    words = said.removeprefix("verdict: ").split(" (p = ")[0]
    tone = FINDING_TONES.get(str(found.finding), "")
    looks = count(len(found.looks), "look")
    detail = f"p = {found.p_value:.3f}, {found.level:.3f} or less was needed after {looks}."
    return f'<p class="verdict {tone}">{escape(words)}</p>{note(escape(detail))}'


def _score(about: Card) -> str:
    score = about.score
    said = (
        f"Balanced accuracy {score.balanced:.2f} over {count(score.trials, 'trial')} "
        f"({score.label}), cross-validated"
    )
    if about.metrics is not None:
        m = about.metrics
        said += f"; kappa {m.kappa:.2f}, AUC {m.auc:.2f}, {m.itr_bits_min:.1f} bits a minute"
    lines = [note(escape(said) + ".")]
    if score.caveat:
        lines.append(note(escape(score.caveat) + ".", "fair"))
    return "".join(lines)


def _controls(about: Card) -> str:
    rows = []
    for control in about.controls:
        low, high = control.band_hz
        where = f"{count(control.electrodes, 'electrode')}, {low:g}–{high:g} Hz"
        bar = "" if control.balanced is None else _bar(control.balanced, control.name)
        rows.append(
            (
                escape(control.name),
                number(control.balanced),
                bar,
                escape(f"{where} {control.note}".strip()),
            )
        )
    return table(("read by", "balanced", "", ""), rows, " n s")


def _bar(share: float, name: str) -> str:
    colour = "good" if name.startswith("decoder") else "fair"
    return (
        f'<div class="meter"><i style="width:{100 * share:.0f}%;background:var(--{colour})">'
        "</i></div>"
    )


def _candidates(about: Card) -> str:
    if not about.candidates:
        return ""
    rows = [
        (
            ("<b>%s</b>" if c.name == about.decoder else "%s") % escape(c.name),
            number(c.balanced),
        )
        for c in about.candidates
    ]
    chosen = "".join(note(escape(line)) for line in about.chosen[:1])
    return "<h3>Decoders that were tried</h3>" + table(("", "balanced"), rows, " n") + chosen


def _curve(about: Card) -> str:
    curve = about.curve
    if curve is None or len(curve.trials) < 2:
        return ""
    last = curve.trials[-1]
    more = last + curve.more
    classes = len(about.classes)
    chart = Chart(
        Axis(0.0, 1.08 * more, "trials fitted on"),
        Axis(max(0.0, 1 / classes - 0.2), 1.02, "balanced accuracy"),
        180,
        "Learning curve",
    )
    chart.level(1 / classes, "secondary", "chance")
    if curve.lows and curve.highs:
        chart.area(curve.trials, curve.lows, curve.highs, "good", 0.18)
    chart.line([last, more], [curve.balanced[-1], curve.expected], "fair", width=1.6, dash="4 3")
    chart.line([more, more], [curve.low, curve.high], "fair", width=2.4)
    chart.dots([more], [curve.expected], "fair", size=7)
    chart.line(curve.trials, curve.balanced, "good", width=2.0, dots=True)
    chart.key("scored, with 95 % interval", "good").key(curve.line(), "fair", dash=True)
    return "<h3>Learning curve</h3>" + chart.html()


def _patterns(about: Card) -> str:
    heads = []
    for pattern in about.patterns:
        if can_show(pattern.electrodes):
            low, high = pattern.band_hz
            heads.append(
                head_map(
                    pattern.electrodes,
                    np.array(pattern.values),
                    title=f"{low:g}–{high:g} Hz: {class_words(pattern.output)}",
                    unit="",
                    signed=True,
                )
            )
    if not heads:
        return ""
    sub = note(
        "Correlation of each electrode's log power with the decoder's output: where what it "
        "reads comes from. Over C3 and C4 it is the motor cortex; at the rim, eyes or muscle."
    )
    return f'<h3>What it reads</h3><div class="heads">{"".join(heads)}</div>{sub}'


def _rest(about: Card) -> str:
    regressed = ", ".join(about.regressed) or "nothing: there is no electrode near the eyes"
    lines = [f"Regressed out (eyes and muscle): {regressed}."]
    if about.rejected:
        why = ", ".join(f"{r.trials} ({r.reason})" for r in about.rejected)
        lines.append(f"Trials left out: {why}.")
    lines.append(f"Fitted on: {', '.join(about.recordings) or 'not told'}.")
    return "".join(note(escape(line)) for line in lines)
