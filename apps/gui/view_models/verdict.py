"""A calibration's report in words, and what is proposed next.

Takes the report as :meth:`rtbci.calibration.report.CalibrationReport.to_dict` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from rtbci.apps.gui.view_models.reads import half_width
from rtbci.apps.texts import t

ABOVE, UNSURE, CHANCE = "above chance", "can't tell yet", "practically at chance"
"""As :class:`rtbci.calibration.scoring.verdict.Finding` says it."""
WORTH = 0.015
"""Less than this, ten more trials would not be noticed."""
AHEAD = 40
"""Trials beyond those that there are, to which the learning curve is carried on."""
RESAMPLES = 2000
INTERVAL = (0.025, 0.975)
SHOWN_CONTROLS = (
    "decoder",
    "decoder, not regressed",
    "rim, low frequencies",
    "rim, decoder's band",
    "central, low frequencies",
    "all, highest frequencies",
    "decoder, before the cue",
)
"""Rows of the control table, as the calibration names them, in the order of the card."""


class Proposal(StrEnum):
    """What is proposed after a block."""

    BLOCK = "block"
    """Another block: it would help, or tell."""
    FEEDBACK = "feedback"
    """Enough: more trials would bring less than one would notice."""
    CHECK = "check"
    """More of the same would not help: see to the signal first."""


@dataclass(frozen=True)
class Row:
    """One row of what the decoder reads.

    Attributes
    ----------
    name : str
    balanced : float | None
    half : float
        Half of its 95 % interval.
    good : bool
        Whether it is the decoder itself, which should be high.
    note : str
        Why there is no score.
    """

    name: str
    balanced: float | None
    half: float
    good: bool
    note: str


@dataclass(frozen=True)
class CurveLine:
    """The learning curve.

    Attributes
    ----------
    trials, balanced, low, high : tuple of float
        What was measured: trials that were fitted on, score, its interval.
    fitted : tuple of float
        The curve through them, at ``trials``.
    ahead, expected : tuple of float
        The same curve beyond them: what more trials would bring.
    label : str
        Of the expectation, with its interval.
    label_at : tuple of float
        Where it stands: trials, score.
    """

    trials: tuple[float, ...] = ()
    balanced: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    fitted: tuple[float, ...] = ()
    ahead: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()
    label: str = ""
    label_at: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class VerdictWords:
    """What the verdict page says.

    Attributes
    ----------
    before, headline : str
    tone : str
        ``good``, ``fair`` or ``bad``.
    body : tuple of str
        Sentences, each a paragraph.
    proposal : Proposal
    why : str
        Of the proposal.
    chance : float
    """

    before: str
    headline: str
    tone: str
    body: tuple[str, ...]
    proposal: Proposal
    why: str
    chance: float


def put_in_words(report: Mapping[str, Any], block: int) -> VerdictWords:
    """Say what a fit has found.

    Parameters
    ----------
    report : mapping
    block : int
        Number of the block that was the last.
    """
    score, verdict = report["score"], report.get("verdict") or {}
    finding = verdict.get("finding", UNSURE)
    balanced = float(score["balanced"])
    key, tone = {
        ABOVE: ("above", "good"),
        UNSURE: ("unsure", "fair"),
        CHANCE: ("chance", "bad"),
    }[finding]
    looks = len(verdict.get("looks", ())) or 1
    before = t(
        "calibration.verdict.before",
        block=block,
        trials=score["trials"],
        looks=t("calibration.verdict.twice")
        if looks == 2
        else t.plural("calibration.verdict.looks", looks),
    )
    low, high = interval(report)
    first = t(
        "calibration.verdict.interval",
        low=low,
        high=high,
        p=float(score["p_value"]),
        level=float(verdict.get("level", math.nan)),
    )
    bank = _bank(report)
    body = [f"{first} {bank}".strip(), reads(report)]
    proposal, why = propose(report)
    return VerdictWords(
        before,
        t(f"calibration.verdict.{key}", balanced=balanced),
        tone,
        tuple(line for line in body if line),
        proposal,
        why,
        1.0 / len(report["classes"]),
    )


def interval(report: Mapping[str, Any]) -> tuple[float, float]:
    """95 % interval of the balanced accuracy: a bootstrap over the trials, within classes."""
    told = [o for o in report.get("outcomes", ()) if o["decided"]]
    classes = report["classes"]
    rng = np.random.default_rng(0)
    each = []
    for name in classes:
        right = np.array([o["decided"] == name for o in told if o["wanted"] == name], dtype=float)
        if not len(right):
            return (0.0, 1.0)
        # NB: one right and one wrong are added (Agresti & Coull 1998): where all trials of a
        # class were right, a bootstrap of them alone would claim that the next one is, too.
        right = np.concatenate([right, [0.0, 1.0]])
        each.append(rng.choice(right, (RESAMPLES, len(right))).mean(axis=1))
    low, high = np.quantile(np.mean(each, axis=0), INTERVAL)
    return (float(low), float(high))


def _bank(report: Mapping[str, Any]) -> str:
    """How much is other people's trials, and how much the subject's own."""
    scores = {c["name"]: float(c["balanced"]) for c in report.get("candidates", ())}
    if "zero-shot" not in scores or "population" not in scores:
        return ""
    chosen = str(report["decoder"])
    gain = scores["population"] - scores["zero-shot"]
    if chosen == "zero-shot":
        return t("calibration.verdict.bank_alone")
    if "population" in chosen:
        return t("calibration.verdict.bank", gain=gain)
    return t("calibration.verdict.own")


def reads(report: Mapping[str, Any]) -> str:
    """Say what the decoder reads: the hand area, or what speaks against it."""
    caveat = str(report["score"].get("caveat", ""))
    if caveat:
        return f"{caveat[0].upper()}{caveat[1:]}."
    finding = (report.get("verdict") or {}).get("finding")
    return t("calibration.verdict.reads") if finding == ABOVE else ""


def propose(report: Mapping[str, Any]) -> tuple[Proposal, str]:
    """Propose what comes next, with the reason in a sentence."""
    verdict, curve = report.get("verdict") or {}, report.get("curve")
    finding = verdict.get("finding", UNSURE)
    balanced = float(report["score"]["balanced"])
    gain = math.inf if curve is None else float(curve["expected"]) - _last(curve, balanced)
    if finding == ABOVE and gain < WORTH:
        return Proposal.FEEDBACK, t("calibration.propose.enough", gain=max(0.0, gain))
    if finding == ABOVE:
        return Proposal.BLOCK, t("calibration.propose.better")
    more = int(verdict.get("more_trials", 0))
    if finding == UNSURE and more:
        return Proposal.BLOCK, t.plural("calibration.propose.tell", more)
    return Proposal.CHECK, t("calibration.propose.check")


def _last(curve: Mapping[str, Any], balanced: float) -> float:
    return float(curve["balanced"][-1]) if curve["balanced"] else balanced


def control_rows(report: Mapping[str, Any]) -> tuple[Row, ...]:
    """What the decoder reads: itself, and what else than motor cortex could give its score."""
    told = {c["name"]: c for c in report.get("controls", ())}
    trials = max(1, int(report["score"]["trials"]))
    rows = []
    for name in SHOWN_CONTROLS:
        control = told.get(name)
        if control is None:
            continue
        value = None if control["balanced"] is None else float(control["balanced"])
        half = 0.0 if value is None else half_width(value, trials)
        key = _key(name)
        shown = t(f"calibration.reads.{key}", low=control["band_hz"][0], high=control["band_hz"][1])
        rows.append(Row(shown, value, half, key in ("decoder", "raw"), str(control["note"])))
    return tuple(rows)


def _key(name: str) -> str:
    return {
        "decoder": "decoder",
        "decoder, not regressed": "raw",
        "rim, low frequencies": "rim",
        "rim, decoder's band": "rim_band",
        "central, low frequencies": "slow",
        "all, highest frequencies": "muscle",
        "decoder, before the cue": "before",
    }[name]


def curve_line(report: Mapping[str, Any]) -> CurveLine:
    """Give the learning curve, carried on by what fits it: ``a - b / sqrt(n)``."""
    curve = report.get("curve")
    if not curve or not curve["trials"]:
        return CurveLine()
    n = np.asarray(curve["trials"], dtype=float)
    y = np.asarray(curve["balanced"], dtype=float)
    total = float(report["score"]["trials"])
    x = -1.0 / np.sqrt(n)
    off = x - x.mean()
    slope = max(0.0, float(y @ off / np.sum(off**2))) if len(n) > 1 else 0.0
    ahead = np.linspace(n[-1], total + AHEAD, 24)

    def fit(at: npt.NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(np.clip(y.mean() + slope * (-1.0 / np.sqrt(at) - x.mean()), 0.0, 1.0).tolist())

    label = t(
        "calibration.curve.ahead",
        more=curve["more"],
        expected=curve["expected"],
        low=curve["low"],
        high=curve["high"],
    )
    return CurveLine(
        tuple(n.tolist()),
        tuple(y.tolist()),
        tuple(curve.get("lows") or ()),
        tuple(curve.get("highs") or ()),
        fit(n),
        tuple(ahead.tolist()),
        fit(ahead),
        label,
        (total + float(curve["more"]), float(curve["expected"])),
    )


def choice_lines(report: Mapping[str, Any]) -> tuple[str, str]:
    """Say what ``auto`` chose, and what it left with which score."""
    scores = {c["name"]: float(c["balanced"]) for c in report.get("candidates", ())}
    chosen = str(report["decoder"])
    left = sorted((n for n in scores if n != chosen and "&" not in n), key=lambda n: -scores[n])
    shown = " · ".join(f"{decoder_words(name)} {scores[name]:.2f}" for name in left)
    return decoder_words(chosen), t("calibration.choice.left", names=shown) if shown else ""


def decoder_words(name: str) -> str:
    """A decoder as people read it."""
    parts = [
        t(f"calibration.decoders.{part}") if t.has(f"calibration.decoders.{part}") else part
        for part in name.split(" & ")
    ]
    return t("calibration.decoders.both").join(parts)


def pattern_values(report: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Give the pattern of the first output in the lowest band, and what it is."""
    patterns: Sequence[Mapping[str, Any]] = report.get("patterns", ())
    if not patterns:
        return "", {}
    pattern = max(patterns, key=lambda p: max((abs(v) for v in p["values"]), default=0.0))
    low, high = pattern["band_hz"]
    words = str(pattern["output"]).replace("_", " ")
    sub = t("calibration.pattern.sub", low=low, high=high, output=words)
    return sub, dict(zip(pattern["electrodes"], pattern["values"], strict=True))
