"""How good the signal was, its spectra, and how well it was foretold."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from rtbci.apps.report.chart import Axis, Chart
from rtbci.apps.report.forecasts import Example, ForecastFacts
from rtbci.apps.report.head import can_show, head_map
from rtbci.apps.report.lanes import Lane, time_ticks_html
from rtbci.apps.report.material import Material
from rtbci.apps.report.signal import BANDS_HZ, Array64, OutSpan, SignalFacts
from rtbci.apps.report.words import card, clock, count, folded, note, number, table

SD_AXIS_UV = Axis(1.0, 300.0, log=True)
"""Height of the strips of spread: 1 µV at the bottom, 300 µV at the top."""
MANY = 34
"""From so many electrodes on the table is folded."""
SPOKEN_MS = 100.0
"""The horizon that is told for each electrode."""
MOST_GAPS = 200
METHODS = (
    ("model", "good", "the model"),
    ("ar", "signal", "AR"),
    ("ridge", "secondary", "ridge"),
    ("persistence", "faint", "persistence"),
)
"""Keys of the session's table, their colours (the model's, then greys) and names."""


def quality(made: Material) -> str:
    """A row for each electrode."""
    signal = made.signal
    if signal is None:
        return ""
    names = made.recording.info.electrodes
    errors = _errors_at(made.forecasts, SPOKEN_MS)
    head = ["electrode", "SD, µV", "SD along the session", "left out"]
    if errors is not None:
        head.append("error at 100 ms")
    rows = []
    for i, name in enumerate(names):
        spans = [s for s in signal.out if s.electrode == i]
        row = [
            escape(name),
            number(float(signal.sd_uv[i]), 1),
            _spread_strip(signal, i, spans),
            _out_words(spans, signal.out_share(i)),
        ]
        if errors is not None:
            row.append(number(float(errors[i])))
        rows.append(row)
    axis = ["", "", time_ticks_html(0.0, signal.seconds), "", ""][: len(head)]
    body = table(head, [*rows, axis], " n  m", "electrodes")
    if len(names) > MANY:
        worst = sorted(range(len(names)), key=lambda i: (not _spans(signal, i), -_sd(signal, i)))
        few = table(head, [*(rows[i] for i in worst[:8]), axis], " n  m", "electrodes")
        body = few + folded(f"all {len(names)} electrodes, in the order of the montage", body)
    sub = (
        "Standard deviation after the causal filters, while the electrode was in use. The strips "
        "reach from 1 µV to 300 µV (logarithmic); red: left out."
    )
    if len(names) > MANY:
        sub += " First those that were left out, then those that spread most."
    return card("Signal quality by electrode", body, sub=sub, wide=True)


def _spans(signal: SignalFacts, electrode: int) -> bool:
    return any(s.electrode == electrode for s in signal.out)


def _sd(signal: SignalFacts, electrode: int) -> float:
    sd = float(signal.sd_uv[electrode])
    return sd if np.isfinite(sd) else np.inf


def _spread_strip(signal: SignalFacts, i: int, spans: Sequence[OutSpan]) -> str:
    lane = Lane(0.0, signal.seconds)
    shares = SD_AXIS_UV.places(signal.sd_bins_uv[:, i])
    lane.steps(signal.edges, shares, "signal", 0.55)
    for span in spans:
        lane.span(span.start, span.stop, "bad", opacity=0.55, says=span.reason)
    return lane.bare("spread along the session")


def _out_words(spans: Sequence[OutSpan], share: float) -> str:
    if not spans:
        return '<span class="good">no</span>'
    first = spans[0]
    when = f"from {clock(first.start)} to {clock(first.stop)}: {escape(first.reason)}"
    more = f" and {len(spans) - 1} times more" if len(spans) > 1 else ""
    return f'<span class="fair">{100 * share:.0f} %: {when}{more}</span>'


def gaps(made: Material) -> str:
    """What is missing, with its cause."""
    signal = made.signal
    if signal is None or not signal.gaps:
        return ""
    by_cause: dict[str, list[float]] = {}
    for gap in signal.gaps:
        by_cause.setdefault(gap.cause.value, []).append(gap.length)
    causes = table(
        ("cause", "gaps", "missing, s", "longest, s"),
        (
            (escape(cause), str(len(lengths)), f"{sum(lengths):.3f}", f"{max(lengths):.3f}")
            for cause, lengths in sorted(by_cause.items())
        ),
        " nnn",
    )
    rows = [
        (
            clock(gap.start - made.begun),
            f"{gap.length:.3f}",
            str(gap.missing),
            escape(gap.cause.value),
            "bridged" if gap.bridged else "new segment",
        )
        for gap in signal.gaps[:MOST_GAPS]
    ]
    each = table(("time", "length, s", "rows", "cause", "then"), rows, "nnn  ")
    words = f"each of the first {MOST_GAPS}" if len(signal.gaps) > MOST_GAPS else "each of them"
    bridge = made.recording.config.timeline.bridge_s
    sub = f"Gaps up to {bridge:g} s are bridged; behind a longer one filters and caches begin anew."
    return card("Gaps", causes, folded(words, each), sub=sub, wide=True)


def spectra(made: Material) -> str:
    """Power density by electrode."""
    signal = made.signal
    if signal is None:
        return ""
    if not len(signal.frequencies):
        return card("Spectra", note("The session is too short for a spectrum: 2 s are the least."))
    f, names = signal.frequencies, made.recording.info.electrodes
    shown = f >= 1.0
    root = np.sqrt(signal.density[shown])
    if not np.isfinite(root).any():
        return card("Spectra", note("No electrode was in use for a whole window of a spectrum."))
    low = max(1e-3, float(np.nanpercentile(root, 0.5)))
    high = max(4 * low, float(np.nanmax(root)) * 1.3)
    x = Axis(1.0, float(f[-1]), "Hz", log=True, ticks=_hz_ticks(float(f[-1])))
    y = Axis(low, high, "µV/√Hz, raw signal", log=True)
    chart = Chart(x, y, 300, "Amplitude density of each electrode by frequency")
    faint = max(0.16, min(0.7, 5.0 / len(names)))
    for column in root.T:
        if np.isfinite(column).all():
            chart.line(f[shown], column, "signal", width=1.0, opacity=faint)
    chart.line(f[shown], np.nanmedian(root, axis=1), "good", width=2.2)
    chart.key("each electrode", "signal").key("median of them", "good")
    many = "windows" if signal.windows > 1 else "window"
    sub = (
        f"Before any filter: what the electrodes gave, mains included. Geometric mean over up to "
        f"{signal.windows} {many} of {signal.window_s:g} s (Hann, half overlapping)."
    )
    return card("Spectra", chart.html(), sub=sub)


def _hz_ticks(top: float) -> tuple[tuple[float, str], ...]:
    return tuple((v, f"{v:g}") for v in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if v <= top)


def maps(made: Material) -> str:
    """Amplitude of each band on the head."""
    signal = made.signal
    if signal is None or not len(signal.frequencies):
        return ""
    names = made.recording.info.electrodes
    if not can_show(names):
        return ""
    heads = []
    for name, (low, high) in BANDS_HZ.items():
        amplitude = signal.band_uv(low, high)
        if amplitude is not None:
            band = f"{name}, {low:g}–{high:g} Hz"
            heads.append(head_map(names, amplitude, title=band, unit="µV"))
    if not any(heads):
        return ""
    sub = "Amplitude of each band in the raw signal; each map has its own scale."
    return card(
        "Bands on the head", f'<div class="heads">{"".join(heads)}</div>', sub=sub, wide=True
    )


def skill(made: Material) -> str:
    """Error of the forecasts by horizon, against simple ones."""
    facts = made.forecasts
    if facts is None:
        return ""
    told = (made.summary or {}).get("skill") or []
    told = [row for row in told if row.get("persistence") is not None]
    chart, rows, sub = _told_skill(told) if told else _own_skill(facts)
    if chart is None:
        return card("Forecasts", note("No forecast's last horizon came before the session ended."))
    by = f"Published: {escape(facts.by)}; {count(facts.count, 'forecast')}. "
    return card("Forecasts by horizon", chart.html(), rows, sub=by + sub)


def _told_skill(told: list[dict[str, object]]) -> tuple[Chart, str, str]:
    """The session's own table, with AR and ridge."""
    middles = [float(np.mean(row["horizon_ms"])) for row in told]  # type: ignore[call-overload]
    names = [m for m in METHODS if any(row.get(m[0]) is not None for row in told)]
    values = {
        key: [np.nan if row.get(key) is None else float(row[key]) for row in told]  # type: ignore[arg-type]
        for key, _, _ in names
    }
    chart = _skill_chart(middles, [(values[k], colour, said) for k, colour, said in names])
    rows = table(
        ("horizon, ms", *(said for _, _, said in names)),
        (
            (
                "–".join(f"{h:g}" for h in row["horizon_ms"]),  # type: ignore[attr-defined]
                *(number(values[k][i], 3) for k, _, _ in names),
            )
            for i, row in enumerate(told)
        ),
        "n" * (1 + len(names)),
    )
    sub = (
        "Error over variance of the filtered signal, samples that the forecast had not seen, from "
        "60 s on; 1 is what predicting the mean would get. Lower is better."
    )
    return chart, rows, sub


def _own_skill(facts: ForecastFacts) -> tuple[Chart | None, str, str]:
    """Scored here, where the session told nothing."""
    if not facts.scored or not np.isfinite(facts.error).any():
        return None, "", ""
    lines = []
    for values, colour, said in (
        (facts.error, "good", "published"),
        (facts.persistence, "faint", "persistence"),
    ):
        known = np.isfinite(values).any(axis=0)
        lines.append((np.nanmean(values[:, known], axis=1).tolist(), colour, said))
    chart = _skill_chart(list(facts.horizons_ms), lines)
    rows = table(
        ("horizon, ms", "published", "persistence"),
        (
            (f"{h:g}", number(lines[0][0][i], 3), number(lines[1][0][i], 3))
            for i, h in enumerate(facts.horizons_ms)
        ),
        "nnn",
    )
    sub = (
        f"Error over variance at the horizons that are recorded, {count(facts.scored, 'forecast')} "
        "from the first one on; 1 is what predicting the mean would get. The session told no "
        "table of its own (shorter than about 60 s, or cut short), so AR and ridge are missing: "
        "they are not recorded."
    )
    return chart, rows, sub


def _skill_chart(x: list[float], lines: list[tuple[list[float], str, str]]) -> Chart:
    top = max((v for values, _, _ in lines for v in values if np.isfinite(v)), default=1.0)
    ticks = tuple((float(v), str(v)) for v in (20, 50, 100, 200, 500, 1000))
    chart = Chart(
        Axis(min(x) * 0.8, max(x) * 1.25, "ms ahead", log=True, ticks=ticks),
        Axis(0.0, min(max(1.15, 1.08 * top), 2.5), "error over variance"),
        220,
        "Error of the forecasts by horizon",
    )
    chart.level(1.0, "secondary", "the mean")
    for values, colour, _ in reversed(lines):
        chart.line(x, values, colour, width=2.0, dots=True)
    for _, colour, said in lines:
        chart.key(said, colour)
    return chart


def example(made: Material) -> str:
    """A stretch of signal, with what was foretold of it."""
    facts = made.forecasts
    if facts is None or facts.example is None:
        return ""
    shown = facts.example
    electrode = _electrode_shown(made.recording.info.electrodes, shown)
    if electrode is None:
        return ""
    name = made.recording.info.electrodes[electrode]
    times, x = shown.times - made.begun, shown.signal[:, electrode]
    most = 1.15 * float(np.abs(x).max())
    start = float(times[0])
    chart = Chart(
        Axis(start, float(times[-1]), "seconds of the session"),
        Axis(-most, most, f"{name}, µV, as the model saw it"),
        320,
        f"Signal of {name} and its forecasts",
    )
    near = [i for i, h in enumerate(facts.horizons_ms) if h <= SPOKEN_MS]
    ahead = np.array([facts.horizons_ms[i] for i in near]) / 1000
    for time, values in shown.forecasts:
        now = int(np.argmin(np.abs(shown.times - time)))
        track = np.concatenate([[x[now]], values[near, electrode]])
        when = time - made.begun + np.concatenate([[0.0], ahead])
        if np.isfinite(track).all():
            chart.line(when, track, "good", width=1.7, opacity=0.95)
            chart.dots(when[1:], track[1:], "good", size=4)
    chart.line(times, x, "signal", width=1.3, opacity=0.8)
    chart.key("what came", "signal").key("what was foretold, 20 to 100 ms ahead", "good")
    sub = (
        "From the middle of the session, not chosen; each green line begins at the newest sample "
        "that its forecast had seen."
    )
    return card("Forecasts against what then came", chart.html(), sub=sub)


def _electrode_shown(names: Sequence[str], shown: Example) -> int | None:
    """C3 or its likes where they are there, else the first electrode that was foretold."""
    foretold = np.atleast_1d(np.isfinite(shown.forecasts[0][1]).all(axis=0))
    usable = [i for i in range(len(names)) if foretold[i] and shown.signal[:, i].any()]
    wanted = [names.index(n) for n in ("C3", "Cz", "C4", "Pz") if n in names]
    return next((i for i in wanted if i in usable), usable[0] if usable else None)


def _errors_at(facts: ForecastFacts | None, horizon_ms: float) -> Array64 | None:
    if facts is None or not facts.scored:
        return None
    row = int(np.argmin(np.abs(np.array(facts.horizons_ms) - horizon_ms)))
    told: Array64 = facts.error[row]
    return told
