"""All that the page tells of a recording, gathered in one pass over its rows.

Works on a recording however it ended: killed, cut short, without results, of a second or of hours.
What is not there is None, and a sentence in ``missing`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtbci.apps.report.causal import causal_blocks
from rtbci.apps.report.decodes import DecodeFacts, LatencyFacts, forecast_latency, gather_decodes
from rtbci.apps.report.forecasts import ForecastFacts, ForecastGatherer
from rtbci.apps.report.signal import SignalFacts, SignalGatherer
from rtbci.apps.report.trials import TrialFacts, score_trials
from rtbci.errors import BadInputError, RtbciError
from rtbci.playback import known_classes
from rtbci.recording.recording import Recording
from rtbci.types import Marker

if TYPE_CHECKING:
    from rtbci.calibration.card import Card

DECODER_FOLDER = "decoder"
"""Where a recording keeps the copy of the subject's profile."""
NOBODY = "unknown"
"""The subject of a recording that was made without one."""

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Material:
    """A recording in figures.

    Attributes
    ----------
    recording : Recording
    begun : float
        Time of the first row, seconds of the session's clock; NaN where there is none.
    signal : SignalFacts | None
    decodes : DecodeFacts | None
    latency : LatencyFacts | None
    forecasts : ForecastFacts | None
    trials : TrialFacts | None
    labels : dict of str to str
        Classes by marker label.
    markers : tuple of Marker
    counts : dict of str to int
        Lines of ``commands.jsonl`` by kind.
    card : Card | None
        Of the decoder that the session had, or that was fitted on it.
    card_is : str
        ``used`` or ``made``; empty where there is none.
    summary : dict | None
        What the session itself told at its end.
    missing : tuple of str
        What is not there, and why: a sentence each.
    """

    recording: Recording
    begun: float
    signal: SignalFacts | None
    decodes: DecodeFacts | None
    latency: LatencyFacts | None
    forecasts: ForecastFacts | None
    trials: TrialFacts | None
    labels: dict[str, str]
    markers: tuple[Marker, ...]
    counts: dict[str, int]
    card: Card | None
    card_is: str
    summary: dict[str, Any] | None
    missing: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the session ended as it was meant to."""
        return self.summary is not None and not self.summary.get("ended")

    @property
    def rehearsal(self) -> bool:
        """Whether nothing was to be forecast or decoded (cues alone)."""
        return "model" not in self.recording.extra


def gather(recording: Recording, tell: Tell = lambda *_: None) -> Material:
    """Read a recording once, in blocks.

    Parameters
    ----------
    recording : Recording
    tell : callable
        Told the share that is done, and at what it is.

    Raises
    ------
    RecordingError
        Where a file of it is damaged in its middle.
    """
    missing: list[str] = []
    summary = recording.summary
    counts = Counter(command.kind for command in recording.commands())
    markers = tuple(recording.markers())
    tell(0.0, "decodes")
    decodes, latency = gather_decodes(recording.decodes())
    latency = latency or forecast_latency(recording.forecasts())
    card, card_is = _card(recording, missing)
    begun, signal, forecasts = np.nan, None, None
    if recording.n_rows:
        begun = float(recording.main.times(0, 1)[0])
        if recording.info.eeg:
            signal, forecasts = _signal(recording, begun, tell)
    labels = known_classes(recording.files.folder)
    trials = None
    if decodes is not None:
        trials = _trials(recording, decodes, markers, labels, card, missing)
    made = Material(
        recording=recording,
        begun=begun,
        signal=signal,
        decodes=decodes,
        latency=latency,
        forecasts=forecasts,
        trials=trials,
        labels=labels,
        markers=markers,
        counts=dict(counts),
        card=card,
        card_is=card_is,
        summary=summary,
        missing=(),
    )
    return _with_missing(made, missing)


def _signal(
    recording: Recording, begun: float, tell: Tell
) -> tuple[SignalFacts, ForecastFacts | None]:
    n_rows = recording.n_rows
    ended = float(recording.main.times(n_rows - 1, n_rows)[0])
    signal = SignalGatherer(recording, begun, ended)
    scored = ForecastGatherer(recording.forecasts(), len(recording.info.eeg), begun, ended)
    for block in causal_blocks(recording):
        signal.add(block)
        scored.add(block)
        tell((block.start + len(block.raw)) / n_rows, "signal")
    return signal.facts(), scored.facts()


def _card(recording: Recording, missing: list[str]) -> tuple[Card | None, str]:
    """The profile that decoded, or the one that was fitted on this recording."""
    folder = recording.files.folder / DECODER_FOLDER
    if recording.subject == NOBODY and not folder.exists():
        return None, ""
    # NB: imported here, since scikit-learn costs a session without a subject two seconds.
    from rtbci.calibration.card import read_card
    from rtbci.calibration.profile import CARD, find_profile

    copy = folder / CARD
    try:
        if copy.exists():
            return read_card(copy), "used"
        profile = find_profile(recording.subject)
    except BadInputError as err:
        if copy.exists():
            missing.append(f"The decoder's card can't be read: {err}")
        return None, ""  # a name that no profile can have, or a damaged one of another day
    if profile is not None and recording.files.stem in map(_stem, profile.card.recordings):
        return profile.card, "made"
    return None, ""


def _stem(name: str) -> str:
    return Path(name).name


def _trials(
    recording: Recording,
    decodes: DecodeFacts,
    markers: tuple[Marker, ...],
    labels: dict[str, str],
    card: Card | None,
    missing: list[str],
) -> TrialFacts | None:
    window_s = recording.config.token.window_s
    if card is not None and recording.extra.get("decoder") is not None:
        window_s = card.view.window_s
    try:
        return score_trials(decodes, markers, labels, recording.config.decode.trial_s, window_s)
    except RtbciError as err:
        missing.append(f"Trials can't be scored: {err}")
        return None


def _with_missing(made: Material, said: list[str]) -> Material:
    about = [*_ending(made), *_results(made), *said]
    return replace(made, missing=tuple(about))


def _ending(made: Material) -> list[str]:
    if made.recording.n_rows == 0:
        return ["The recording holds no rows: nothing came before it ended."]
    about = []
    if made.summary is None:
        about.append(
            "The session did not end properly (it was killed, or it still runs), so it wrote no "
            "summary; all here is counted from what it had written by then."
        )
    elif made.summary.get("ended"):
        about.append(f"The session was ended by an error: {made.summary['ended']}")
    if made.recording.recovered:
        about.append("The recording was mended after a crash (rtbci recover); rows are as written.")
    if not made.recording.info.eeg:
        about.append("No channel is an electrode, so there is nothing to filter or decode.")
    return about


def _results(made: Material) -> list[str]:
    about = []
    if made.rehearsal:
        about.append(
            "It was recorded with cues alone, without forecasts and decodes: material for a "
            "calibration."
        )
    elif made.recording.n_rows:
        config = made.recording.config.token
        needs = f"the first one needs {config.window_s + config.hop_s:g} s of signal without a gap"
        if made.forecasts is None:
            about.append(f"Nothing was forecast: {needs}.")
        if made.decodes is None:
            about.append(f"Nothing was decoded: {needs}, and a decoder or weights that decode.")
        elif not made.decodes.valid.any():
            about.append("The decoder abstained at every token; the reasons are below.")
    if made.decodes is not None and made.trials is None:
        about.append(
            "No marker is a cue of a class that is decoded, so decodes can't be scored; "
            "--classes MARKER=CLASS says so when a session begins."
        )
    return about
