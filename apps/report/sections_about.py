"""What the recording is, the session at a glance, what happened in it, and what replays."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from rtbci.apps.report.happenings import Happening, happenings
from rtbci.apps.report.lanes import Lane, time_axis
from rtbci.apps.report.material import Material
from rtbci.apps.report.words import (
    card,
    class_var,
    class_words,
    clock,
    count,
    date,
    duration,
    folded,
    note,
    swatch,
    table,
)
from rtbci.types import ChannelType

if TYPE_CHECKING:
    from rtbci.apps.verify import Verification

MOST_HAPPENINGS = 3000
OPEN_HAPPENINGS = 40
"""Up to so many are open when the page is."""


def title(made: Material) -> str:
    """Heading, and a line below it."""
    recording = made.recording
    who = "no subject named" if recording.subject == "unknown" else f"subject {recording.subject}"
    lead = [escape(who), f"{escape(recording.task)} run {recording.run}"]
    lead.append(date(recording.wall.at if made.signal is None else recording.wall.date(made.begun)))
    lead.append(escape(recording.info.name))
    return (
        f"<header><h1>{escape(recording.files.stem)}</h1>"
        f'<p class="lead">{" · ".join(lead)}</p>{_tiles(made)}</header>'
    )


def _tiles(made: Material) -> str:
    tiles = []
    if made.signal is not None:
        rows = count(made.recording.n_rows, "row")
        tiles.append(_tile("length", duration(made.signal.seconds), rows))
        tiles.append(_gap_tile(made))
        out = {s.electrode for s in made.signal.out}
        n = len(made.recording.info.eeg)
        tiles.append(
            _tile("electrodes", str(n), f"{len(out)} left out at times" if out else "none left out")
        )
    if made.latency is not None:
        p50, p99 = np.percentile(made.latency.total_ms, (50, 99))
        tiles.append(_tile("latency, 99 of 100", f"{p99:.1f} ms", f"half within {p50:.1f} ms"))
    if made.trials is not None:
        low, high = made.trials.interval
        said = f"{made.trials.right} of {len(made.trials.trials)} cues; 95 %: {low:.2f}–{high:.2f}"
        tiles.append(_tile("balanced accuracy", f"{made.trials.balanced:.2f}", said))
    elif made.decodes is not None:
        n = int(made.decodes.valid.sum())
        tiles.append(_tile("decodes", f"{n:,}".replace(",", "\u202f"), "no cues to score them by"))
    if made.forecasts is not None:
        published = f"{made.forecasts.count:,}".replace(",", "\u202f")
        tiles.append(_tile("forecasts", published, f"published: {made.forecasts.by}"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _gap_tile(made: Material) -> str:
    assert made.signal is not None
    gaps = made.signal.gaps
    if not gaps:
        return _tile("missing", "nothing", "no row was lost")
    lost = sum(gap.length for gap in gaps)
    return _tile("missing", f"{lost:.3g} s", count(len(gaps), "gap"), "fair")


def _tile(name: str, value: str, below: str, tone: str = "") -> str:
    return (
        f'<div class="tile"><span>{escape(name)}</span><b class="{tone}">{escape(value)}</b>'
        f"<em>{escape(below)}</em></div>"
    )


def missing(made: Material) -> str:
    """What is not there, a sentence each."""
    if not made.missing:
        return ""
    lines = "".join(f"<li>{escape(sentence)}</li>" for sentence in made.missing)
    return (
        f'<section class="card wide missing"><h2>What is missing here</h2><ul>{lines}</ul>'
        "</section>"
    )


def facts(made: Material) -> str:
    """Subject, source, montage, date, model, decoder, versions."""
    recording = made.recording
    info, extra = recording.info, recording.extra
    others = [c for c in info.channels if c.type is not ChannelType.EEG]
    left = [
        ("subject", "not named" if recording.subject == "unknown" else recording.subject),
        ("source", f"{info.name} ({info.kind})"),
        ("rate", f"{info.rate:g} Hz, times {_CLOCKS[info.clock.value]}"),
        ("electrodes", f"{len(info.eeg)}: {' '.join(info.electrodes)}"),
        ("other channels", ", ".join(f"{c.name} ({c.type.value})" for c in others)),
        ("further streams", ", ".join(recording.streams)),
        ("device", ", ".join(f"{k} {v}" for k, v in info.device.items())),
        ("filters", _filters(made)),
        ("folder", str(recording.files.folder)),
    ]
    about = extra.get("model")
    model = "none: recorded without forecasts and decodes"
    if about is not None:
        model = f"{about['name']} ({about['hash'][:12]})"
    platform = extra.get("platform", {})
    versions = ("rtbci", "python", "torch", "numpy", "scipy")
    right = [
        ("model", model),
        ("decoder", _decoder(made)),
        ("classes", ", ".join(f"{k} = {class_words(v)}" for k, v in made.labels.items())),
        ("ran on", _platform(platform)),
        ("versions", ", ".join(f"{k} {platform[k]}" for k in versions if k in platform)),
        ("written by", f"rtbci {recording.rtbci}"),
        ("ended", _ended(made)),
    ]
    columns = "".join(f"<dl>{_pairs(pairs)}</dl>" for pairs in (left, right))
    return card("What it is", f'<div class="columns">{columns}</div>', wide=True)


_CLOCKS = {
    "exact": "exact",
    "host": "regressed from when rows came",
    "remote": "stamped by the sender",
}


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs if value
    )


def _filters(made: Material) -> str:
    config = made.recording.config.preprocess
    lines = " and ".join(f"{f:g}" for f in config.line_hz)
    mains = f", notches at {lines} Hz" if lines else ""
    return (
        f"causal {config.high_pass_hz:g}–{config.low_pass_hz:g} Hz{mains}; reference: "
        f"{'as recorded' if config.reference == 'none' else config.reference}"
    )


def _decoder(made: Material) -> str:
    if made.decodes is None:
        return "" if made.rehearsal else "decoded nothing"
    return made.decodes.decoder + (
        "" if made.decodes.calibrated else " (no output sends its decodes)"
    )


def _platform(platform: dict[str, object]) -> str:
    names = ("system", "machine", "cpu_capability", "device")
    return ", ".join(str(platform[k]) for k in names if platform.get(k))


def _ended(made: Material) -> str:
    if made.summary is None:
        return "without a summary: killed, or it still runs"
    return str(made.summary.get("ended") or "as it was meant to")


def glance(made: Material) -> str:
    """The whole session on one axis of time."""
    signal = made.signal
    if signal is None:
        return ""
    end = signal.seconds
    lanes = []
    if made.trials is not None:
        cues = Lane(0.0, end)
        for trial in made.trials.trials:
            colour = class_var(trial.wanted, made.trials.classes)
            stop = trial.begin + made.trials.trial_s[1]
            words = f"cue {class_words(trial.wanted)} at {clock(trial.cue - made.begun)}"
            cues.span(trial.cue - made.begun, stop - made.begun, colour, says=words)
        lanes.append(cues.html("cues"))
    if made.decodes is not None:
        lanes.append(_decided(made, end).html("decided"))
        if made.decodes.flags:
            lane = Lane(0.0, end)
            for flags in made.decodes.flags.values():
                lane.marks((made.decodes.times[flags] - made.begun).tolist(), "third", 1.0)
            lanes.append(lane.html("eyes, muscle", "thin"))
    if signal.out:
        lanes.append(_left_out(made, end).html("left out"))
    if signal.gaps:
        lane = Lane(0.0, end)
        for gap in signal.gaps:
            begun = gap.start - made.begun
            words = f"{gap.length:.3f} s missing: {gap.cause.value}"
            lane.span(begun, begun + gap.length, "bad", says=words)
        lanes.append(lane.html("missing", "thin"))
    cued = set(made.labels) if made.trials is not None else set()
    rest = [m.time - made.begun for m in made.markers if m.label not in cued]
    if rest:
        lane = Lane(0.0, end)
        lane.marks(rest, "secondary", 1.2)
        lanes.append(lane.html("other markers" if cued else "markers", "thin"))
    if not lanes:
        return ""
    keys = "" if made.decodes is None else _class_keys(made.decodes.classes)
    return card("The session at a glance", "".join(lanes), time_axis(0.0, end), keys, wide=True)


def _class_keys(classes: tuple[str, ...]) -> str:
    words = "".join(f'<span class="key">{swatch(name, classes)}</span>' for name in classes)
    return f'<div class="keys">{words}</div>'


def _decided(made: Material, end: float) -> Lane:
    assert made.decodes is not None
    decodes, lane = made.decodes, Lane(0.0, end)
    hop = made.recording.config.token.hop_s
    for number, first, last in decodes.runs():
        name = decodes.classes[number]
        start, stop = (float(decodes.times[i]) - made.begun for i in (first, last))
        words = f"{class_words(name)} from {clock(start)} to {clock(stop)}"
        lane.span(start, stop + hop, class_var(name, decodes.classes), says=words)
    return lane


def _left_out(made: Material, end: float) -> Lane:
    assert made.signal is not None
    names, lane = made.recording.info.electrodes, Lane(0.0, end)
    for span in made.signal.out:
        words = f"{names[span.electrode]}: {span.reason}"
        lane.span(span.start, span.stop, "bad", opacity=0.45, says=words)
    return lane


def events(made: Material) -> str:
    """Every line of ``commands.jsonl``, in order."""
    if not made.counts or made.signal is None:
        return ""
    rows: list[Happening] = list(
        islice(happenings(made.recording, made.begun), MOST_HAPPENINGS + 1)
    )
    skipped = made.counts.get("skip_forecast", 0)
    listed = sum(made.counts.values()) - skipped
    notes = []
    if listed > MOST_HAPPENINGS:
        notes.append(note(f"The first {MOST_HAPPENINGS} of {listed}; commands.jsonl has them all."))
    if skipped:
        notes.append(
            note(f"{count(skipped, 'forecast')} left out because it would have come too late.")
        )
    lines = table(("time", "what", ""), _happening_rows(rows[:MOST_HAPPENINGS]), "n", "lines")
    inside = f'<div class="long">{lines}</div>' if rows else ""
    if len(rows) > OPEN_HAPPENINGS:
        inside = folded(f"show all {min(listed, MOST_HAPPENINGS)}", inside)
    return card(
        "What happened, in order",
        inside,
        *notes,
        sub="Markers, gaps, electrodes left out, and whatever was decided while it ran.",
        wide=True,
    )


def _happening_rows(rows: list[Happening]) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        when = "–" if row.time is None else clock(row.time)
        tone = "fair" if row.kind in ("gap", "channel", "outputs") else ""
        kind = escape(row.kind.replace("_", " "))
        yield when, f'<span class="{tone}">{kind}</span>', escape(row.text)


def replays(made: Material, verified: Verification | None) -> str:
    """What comes again when the recording is replayed."""
    if made.rehearsal:
        return ""
    platform = made.recording.extra.get("platform", {})
    decodes = 0 if made.decodes is None else len(made.decodes.times)
    forecasts = 0 if made.forecasts is None else made.forecasts.count
    compared = [
        ("decodes", f"{decodes}, to the last bit: probabilities, reasons, evidence, decisions"),
        ("forecasts", f"{forecasts}, by the hash of all horizons and electrodes"),
        ("electrodes left out", str(made.counts.get("channel", 0))),
        ("changes of the decoder", str(made.counts.get("adaptation", 0))),
        (
            "exact where",
            ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in platform.items()),
        ),
    ]
    inside = f"<dl>{_pairs(compared)}</dl>"
    if verified is None:
        folder = escape(str(made.recording.files.folder))
        inside += note(
            "Not replayed for this page. On another platform it is compared within a tolerance. "
            f'To prove it: <span class="mono">rtbci report {folder} --verify</span>'
        )
    else:
        first, *rest = reversed(verified.words().splitlines())
        tone = "good" if verified.same else "bad"
        verdict = f'<p class="verdict {tone}">{escape(first)}</p>'
        inside = verdict + "".join(note(escape(line)) for line in reversed(rest)) + inside
    return card("What replays exactly", inside, wide=True)
