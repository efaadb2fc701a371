"""An evaluation of forecasts as a page of Markdown, as a card's tables, and as plain values."""

from __future__ import annotations

from typing import Any

from rtbci.bootstrap import FEW_SUBJECTS
from rtbci.models.pretrain.evaluation import tables
from rtbci.models.pretrain.evaluation.horizons import LABELS, POINTS_MS
from rtbci.models.pretrain.evaluation.phase import AHEAD_MS
from rtbci.models.pretrain.evaluation.regions import REGIONS, STATES
from rtbci.models.pretrain.evaluation.scores import REFERENCE, ForecastScores, SubjectScores
from rtbci.models.pretrain.evaluation.sums import BANDS_HZ, SHOWN_LEVELS
from rtbci.skill import BINS_MS

HOW = """\
1 is what predicting the mean of the scored samples would get; less is better. Squared errors on
samples that no forecast had seen, over the variance of the same samples, for each electrode; the
mean over electrodes, then over subjects; in brackets bootstrap intervals over subjects (10 000
resamples). A single horizon is the last sample that does not lie beyond it.

`model` is what a session publishes: the network, mixed with AR as far as the session's own past
advises, token by token as live. `filter and hold` holds the newest raw row and lets the live
filters run on: what their memory gives. It also holds the samples that the resampler still owes
(its delay, 14 to 21 ms here), which the other methods do not see. `own ridge` begins as the
pooled ridge and is refitted on this recording's past as it goes; `AR, 4 s` has order 40.

In a band, forecast and truth pass the same causal filter, which has run over the past; the row
`running mean` shows what that filter's own memory of the past gives, and only what is less than
it was foreseen. An electrode's segment has an artefact where it swings by more than five robust
deviations in the second before the forecast or in the second that it is of: the future sorts the
segments, no forecast knows it. CRPS is twice the mean pinball loss of the quantiles 0.05, 0.15,
... 0.95. `Gaussian` intervals stand on the running variance of that method's own past errors at
the same horizon and electrode; those of `running mean` on the running variance of the signal.

The phase of mu is that behind a zero-phase filter (8-13 Hz, Hilbert), made offline; that of a
forecast is read in the same way off past and forecast put together. It counts where mu stands out
of the ten seconds before by 3 dB (8-13 Hz over the geometric mean of 4-6.5 and 16-20 Hz). Yule-
Walker and ETP (educated temporal prediction, trained on the recording's first minute) are the
methods of closed-loop stimulation.
"""
"""How the figures are made."""


def who(scores: ForecastScores) -> list[str]:
    """Sentences: what was scored, on whom, and whom it leaves out."""
    seconds = sum(s.seconds for s in scores.subjects)
    by = (
        "Each subject is scored by weights that have not seen her"
        if scores.folds > 1
        else "The weights have not seen any of them"
    )
    if not scores.trusted:
        by = "NOT A TEST: the weights were trained on some of them (--all-subjects)"
    if not scores.folds:
        by = "No method here has learned from other people"
    said = [
        f"{len(scores.subjects)} subjects, {seconds / 60:.0f} minutes, high-pass "
        f"{scores.high_pass_hz:g} Hz, a forecast every {scores.every_s:g} s from "
        f"{scores.warm_up_s:g} s on. {by}."
    ]
    if len(scores.subjects) < FEW_SUBJECTS:
        said.append("Few subjects: the intervals are too narrow.")
    if scores.left_out:
        said.append(
            f"Left out, because the weights were trained on them: {', '.join(scores.left_out)}."
        )
    return [*said, *scores.notes]


def page(scores: ForecastScores, command: str) -> str:
    """Write an evaluation as Markdown, with the command that made it."""
    made = ["# Forecasts beside their baselines", "", "Made by", "", f"    {command}", ""]
    for said in who(scores):
        made += [said, ""]
    made += [HOW]
    for sheet in tables.sheets(scores):
        made += [f"## {sheet.title}", "", *tables.markdown(sheet), ""]
    return "\n".join(made)


def card_text(scores: ForecastScores, command: str) -> str:
    """Write the card's section as Markdown."""
    made = [*who(scores), "", f"    {command}", ""]
    for sheet in tables.card(scores):
        made += [f"{sheet.title}:", "", *tables.markdown(sheet), ""]
    return "\n".join(made)


def to_dict(scores: ForecastScores) -> dict[str, Any]:
    """Plain values for ``--json``: what the axes are, means by bin, and every subject's scores."""
    gain = "model" in scores.methods and REFERENCE in scores.methods
    skill = []
    for c, (low, high) in enumerate(BINS_MS):
        row: dict[str, Any] = {"horizon_ms": [low, high]}
        row |= {m: round(scores.error(m, c).mean, 4) for m in scores.methods}
        if gain:
            apart, share = scores.difference(c), scores.percent(c)
            row["model_minus_blend"] = [round(v, 4) for v in (apart.mean, apart.low, apart.high)]
            row["percent"] = [round(v, 2) for v in (share.mean, share.low, share.high)]
        skill.append(row)
    return {
        "model": scores.model,
        "folds": scores.folds,
        "high_pass_hz": scores.high_pass_hz,
        "trusted": scores.trusted,
        "subjects": [s.subject for s in scores.subjects],
        "left_out": list(scores.left_out),
        "notes": list(scores.notes),
        "skill": skill,
        "axes": {
            "errors": ["region", "state", "column"],
            "bands": ["band", "region", "column"],
            "coverage": ["level", "region", "state", "point"],
            "crps": ["region", "state", "point"],
            "pinball": ["region", "state", "point"],
            "region": list(REGIONS),
            "state": list(STATES),
            "column": list(LABELS),
            "point": list(POINTS_MS),
            "band": list(BANDS_HZ),
            "level": list(SHOWN_LEVELS),
            "ahead_ms": list(AHEAD_MS),
        },
        "scores": [_plain(s) for s in scores.subjects],
    }


def _plain(scores: SubjectScores) -> dict[str, Any]:
    return {
        k: {m: x.round(5).tolist() for m, x in v.items()} if isinstance(v, dict) else v
        for k, v in vars(scores).items()
    }
