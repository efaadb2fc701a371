"""Accuracy of a profile on a recording, counted from what a live session would have decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtbci.calibration.accuracy import TrialScorer
from rtbci.calibration.profile import Profile, streaming_decoder
from rtbci.calibration.streaming import StreamingDecoder
from rtbci.calibration.track import play
from rtbci.classes import classes_for, parse_classes
from rtbci.config import SessionConfig
from rtbci.types import Decode, StreamInfo


def online_accuracy(
    profile: Profile,
    path: Path,
    *,
    classes: str | None = None,
    montage: str | None = None,
    config: SessionConfig | None = None,
) -> dict[str, Any] | None:
    """Run the live pipeline over a recording and score its decodes against the cues.

    Parameters
    ----------
    profile : Profile
    path : Path
        Not one of those that the profile was fitted on.
    classes, montage : str | None
        As on the command line.
    config : SessionConfig | None

    Returns
    -------
    accuracy : dict | None
        As in a session's summary (:class:`rtbci.calibration.accuracy.TrialScorer`).

    Raises
    ------
    BadInputError
        Where the recording can't be read or has not what the decoder needs.
    """
    config = config or SessionConfig()
    labels = classes_for(path) if classes is None else parse_classes(classes)
    scorer = TrialScorer(
        profile.card.classes, labels, config.decode.trial_s, profile.card.view.window_s
    )

    def decoder(info: StreamInfo) -> StreamingDecoder:
        return streaming_decoder(profile, info.electrodes, config)

    for step in play(path, decoder, config, montage):
        for marker in step.chunk.markers:
            scorer.on_marker(marker)
        for result in step.results:
            if isinstance(result, Decode):
                scorer.on_decode(result)
    accuracy: dict[str, Any] | None = scorer.summary()["accuracy"]
    return accuracy
