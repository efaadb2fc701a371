"""The findings of a signal check, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rtbci.calibration.signal.check_measures import LATEST_S, STEP_S, Contact, Measure, interval
from rtbci.calibration.signal.check_swaps import ALPHA, BLINK, Swap
from rtbci.montage import directions
from rtbci.types import BoolArray

Array64 = npt.NDArray[np.float64]
Level = Literal["good", "fair", "bad"]

BAD_SHARE, FAIR_SHARE = 0.5, 0.1
"""Of the check, in which an electrode was left out."""
STOPPING = ("railed", "flat", "not a number")
"""What an electrode with these reasons gives is no signal at all."""
NOISY_TIMES, NOISY_UV = 5.0, 40.0
"""A noisy electrode is both above so many times the usual one, and above so much."""
DEAD_SHARE, DEAD_UV = 0.1, 2.0
"""A dead one is both below this share of the usual one, and below so much."""
MAINS_FAIR_UV, MAINS_BAD_UV = 400.0, 1500.0
"""Effective value.  The notch takes it out; good recordings of boards without a shield have 300."""
ALPHA_RATIO = 1.3
"""Power, closed over open."""
SEEN_SHARE = 0.6
BACK_SHARE = 0.5
"""A blink is lower at the back than this share of the forehead's."""
JAW_DB = 3.0
WRONG_UV = 5.0
"""A look the wrong way round is surely so high."""


@dataclass(frozen=True)
class Finding:
    """One thing that the check found.

    Attributes
    ----------
    level : str
        ``good``, ``fair`` or ``bad``.
    subject : str
        What it is about: ``alpha``, ``blinks``, ``looking aside``, ``jaw``, ``contacts``,
        ``places``, or an electrode.
    sentence : str
    """

    level: Level
    subject: str
    sentence: str


def alpha_finding(electrodes: Sequence[str], usable: BoolArray, found: Measure | None) -> Finding:
    """Whether alpha rises behind closed eyes."""
    if found is None:
        return _missing("alpha", "eyes open and eyes closed were not both recorded")
    y = directions(electrodes)[:, 1]
    with np.errstate(invalid="ignore"):
        back = usable & (y < -0.6)
        rear = usable & (y < -0.3)
    where = back if back.any() else rear
    if not where.any():
        return Finding("fair", "alpha", "no electrode at the back, so alpha can't be checked.")
    ratio, low, high = np.exp(interval(found, where / where.sum()))
    at = " ".join(np.array(electrodes)[where][:4])
    numbers = f"{ratio:.1f} times (95 % {low:.1f} to {high:.1f}) at {at}"
    if low > 1.0 and ratio >= ALPHA_RATIO:
        return Finding("good", "alpha", f"alpha rises {numbers} when the eyes close.")
    if high < ALPHA_RATIO or low < 1.0:
        return Finding(
            "fair",
            "alpha",
            f"alpha does not clearly rise when the eyes close: {numbers}; some people have "
            "little, else see to the contact at the back.",
        )
    return Finding("fair", "alpha", f"alpha rises little when the eyes close: {numbers}.")


def polarity(electrodes: Sequence[str], usable: BoolArray, blinks: Measure | None) -> float:
    """-1 where the board measures reference less electrode, as blinks tell; else 1."""
    front = usable & _in_front(electrodes)
    if blinks is None or blinks.n < SEEN_SHARE * blinks.asked or not front.any():
        return 1.0
    return -1.0 if interval(blinks, front / front.sum())[2] < 0 else 1.0


def _in_front(electrodes: Sequence[str]) -> BoolArray:
    """Electrodes at the forehead."""
    with np.errstate(invalid="ignore"):
        return np.asarray(directions(electrodes)[:, 1] > 0.75)


def blink_finding(electrodes: Sequence[str], usable: BoolArray, found: Measure | None) -> Finding:
    """Whether blinks are seen at the front, point upwards and fall off to the back."""
    if found is None:
        return _missing("blinks", "no blink was asked for")
    y = directions(electrodes)[:, 1]
    with np.errstate(invalid="ignore"):
        front = usable & _in_front(electrodes)
        where = front if front.any() else usable & (y > 0.2)
        back = usable & (y < -0.3)
    if not where.any():
        return Finding("fair", "blinks", "no electrode at the front, so blinks can't be checked.")
    seen = f"{found.n} of {found.asked} blinks seen"
    at = " ".join(np.array(electrodes)[where][:4])
    if found.n < SEEN_SHARE * found.asked:
        if not front.any():
            return Finding(
                "fair", "blinks", f"{seen} at {at}: no electrode is near enough to the eyes."
            )
        return Finding(
            "bad",
            "blinks",
            f"only {seen} at {at}; see to their contact, or blink when the word comes.",
        )
    height, low, high = interval(found, where / where.sum())
    numbers = f"{seen}, {height:+.0f} µV (95 % {low:+.0f} to {high:+.0f}) at {at}"
    if high < 0:
        return Finding(
            "fair",
            "blinks",
            f"{numbers}: they point down at the forehead; the board measures reference less "
            "electrode, or these two leads are exchanged.  Decoding does not mind.",
        )
    if low <= 0:
        return Finding("fair", "blinks", f"{numbers}: not clear at the forehead.")
    if not back.any():
        return Finding("good", "blinks", f"{numbers}.")
    share = float(found.values[back].mean()) / height
    if share > BACK_SHARE:
        return Finding(
            "bad",
            "blinks",
            f"{numbers}, but {100 * share:.0f} % of that at the back: they should fall off; the "
            "reference electrode perhaps has no contact.",
        )
    fall = "and fall off to the back" if front.any() else "and lower at the back"
    return Finding("good", "blinks", f"{numbers}, {fall} ({100 * max(share, 0):.0f} %).")


def look_finding(electrodes: Sequence[str], usable: BoolArray, found: Measure | None) -> Finding:
    """Whether looking aside moves left and right electrodes in opposite directions."""
    if found is None:
        return _missing("looking aside", "looking left and right was not asked for")
    places = directions(electrodes)
    with np.errstate(invalid="ignore"):
        near = usable & (places[:, 1] > 0.1) & (np.abs(places[:, 0]) > 0.15)
        left, right = near & (places[:, 0] < 0), near & (places[:, 0] > 0)
    if not left.any() or not right.any():
        return Finding(
            "fair", "looking aside", "too few electrodes in front to tell looks to the two sides."
        )
    # The outermost electrode on each side shows most.
    outer = [int(np.flatnonzero(s)[np.argmax(np.abs(places[s, 0]))]) for s in (left, right)]
    half = _one_hot(outer[0], len(electrodes), 0.5) - _one_hot(outer[1], len(electrodes), 0.5)
    _, low, high = interval(found, half, looked=round(LATEST_S / STEP_S))
    names = [electrodes[i] for i in outer]
    numbers = (
        f"looking left moves {names[0]} by {found.values[outer[0]]:+.0f} µV and {names[1]} by "
        f"{found.values[outer[1]]:+.0f} µV"
    )
    if low > 0:
        return Finding("good", "looking aside", f"{numbers}: opposite, as it should be.")
    if high < -WRONG_UV:
        return Finding(
            "bad",
            "looking aside",
            f"{numbers}: the wrong way round; left and right are perhaps exchanged, or she looked "
            "to the other side.",
        )
    return Finding(
        "fair",
        "looking aside",
        f"{numbers} ({low:+.0f} to {high:+.0f} µV half the difference): looks to the sides are "
        "not clear.",
    )


def jaw_finding(electrodes: Sequence[str], usable: BoolArray, found: Measure | None) -> Finding:
    """Whether the clenched jaw is seen, most at the temples."""
    if found is None:
        return _missing("jaw", "no clench was asked for")
    places = directions(electrodes)
    with np.errstate(invalid="ignore"):
        temples = usable & (np.abs(places[:, 0]) > 0.6) & (places[:, 2] < 0.6)
    where = temples if temples.any() else usable
    if not where.any():
        return Finding("bad", "jaw", "no electrode is good enough to check the jaw.")
    best = int(np.flatnonzero(where)[np.argmax(found.values[where])])
    value, low, high = interval(found, _one_hot(best, len(electrodes), 1.0))
    numbers = f"{value:+.0f} dB (95 % {low:+.0f} to {high:+.0f}) above 25 Hz at {electrodes[best]}"
    if value >= JAW_DB and low > 0:
        return Finding("good", "jaw", f"the clenched jaw is seen: {numbers}.")
    return Finding(
        "fair", "jaw", f"the clenched jaw is hardly seen, so muscle may go unnoticed: {numbers}."
    )


def contact_findings(electrodes: Sequence[str], found: Sequence[Contact]) -> tuple[Finding, ...]:
    """What is wrong with each electrode; one good finding where nothing is."""
    made: list[Finding] = []
    alive = [c.rms_uv for c in found if c.bad_share < FAIR_SHARE and c.rms_uv > 0]
    usual = float(np.median(alive)) if alive else 0.0
    for name, contact in zip(electrodes, found, strict=True):
        what = contact_fault(contact, usual)
        if what is not None:
            made.append(Finding(what[0], name, f"{name} {what[1]}"))
    if not made:
        made.append(
            Finding("good", "contacts", f"all {len(electrodes)} electrodes have good contact.")
        )
    return tuple(made)


def contact_fault(contact: Contact, usual_uv: float) -> tuple[Level, str] | None:
    """What is wrong with an electrode; None where nothing is.

    Parameters
    ----------
    usual_uv : float
        Standard deviation of the median electrode.
    """
    reason, share = contact.reason, contact.bad_share
    kind = reason.split(":")[0]
    if share > BAD_SHARE:
        if kind == "flat":
            return "bad", f"is dead ({reason}): see to its lead and its contact."
        return "bad", f"can't be used: {reason} for {100 * share:.0f} % of the check."
    if contact.rms_uv < min(DEAD_UV, DEAD_SHARE * usual_uv):
        return "bad", f"is dead: {contact.rms_uv:.1f} µV, where the others have {usual_uv:.0f} µV."
    if contact.mains_uv > MAINS_BAD_UV:
        mains = f"{contact.mains_uv:.0f} µV of mains ({contact.mains_hz:g} Hz)"
        return "bad", f"picks up {mains}: it hardly has contact."
    if share > FAIR_SHARE:
        return "fair", f"was left out for {100 * share:.0f} % of the check ({reason})."
    if contact.rms_uv > max(NOISY_UV, NOISY_TIMES * usual_uv):
        return "bad", f"is noisy: {contact.rms_uv:.0f} µV, where the others have {usual_uv:.0f} µV."
    if contact.mains_uv > MAINS_FAIR_UV:
        mains = f"{contact.mains_uv:.0f} µV of mains ({contact.mains_hz:g} Hz)"
        return "fair", f"picks up {mains}: better its contact if you can."
    return None


def stopping(electrodes: Sequence[str], found: Sequence[Contact]) -> tuple[str, ...]:
    """Electrodes that give no signal at all."""
    alive = [c.rms_uv for c in found if c.bad_share < FAIR_SHARE and c.rms_uv > 0]
    usual = float(np.median(alive)) if alive else 0.0
    return tuple(
        name
        for name, c in zip(electrodes, found, strict=True)
        if (c.bad_share > FAIR_SHARE and c.reason.startswith(STOPPING))
        or c.rms_uv < min(DEAD_UV, DEAD_SHARE * usual)
    )


def swap_findings(swaps: Sequence[Swap]) -> tuple[Finding, ...]:
    """Electrodes that are perhaps exchanged."""
    made = []
    for swap in swaps:
        shows = {
            (BLINK,): "blinks look",
            (ALPHA,): "alpha looks",
            (BLINK, ALPHA): "blinks and alpha look",
        }.get(swap.by, f"{' and '.join(swap.by)} look" + "s" * (len(swap.by) == 1))
        made.append(
            Finding(
                "bad",
                "places",
                f"{swap.first} and {swap.second} are perhaps swapped: {shows} at each as it should "
                "at the other.",
            )
        )
    return tuple(made)


def _missing(subject: str, why: str) -> Finding:
    return Finding("fair", subject, f"{why}, so {subject} can't be checked.")


def _one_hot(at: int, n: int, value: float) -> Array64:
    return np.where(np.arange(n) == at, value, 0.0)
