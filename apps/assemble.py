"""Builds the parts of a session from its settings: source, model, decoder, recorder, sinks.

Live runs and replays come through here alike, so that a replay is the same pipeline.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy
import torch
from threadpoolctl import threadpool_limits

import rtbci
from rtbci.apps.settings import RunSettings, SourceSettings, host_port
from rtbci.calibration.scoring.accuracy import TrialScorer
from rtbci.classes import parse_classes
from rtbci.clock import Clock, MonotonicClock
from rtbci.commands import STEER_KINDS, read_steer
from rtbci.delivery import Observer, Publish
from rtbci.errors import BadInputError
from rtbci.live.writer import ViewWriter
from rtbci.models.checkpoint import zoo_names
from rtbci.models.registry import load_model
from rtbci.montage import apply_montage, parse_montage
from rtbci.pipeline import Pipeline, Skip, require_eeg
from rtbci.playback import known_classes
from rtbci.recording.reader import open_recording
from rtbci.recording.recording import Recording
from rtbci.recording.writer import Recorder
from rtbci.runtime import Engine, EngineParts, EngineSettings, ExtraStream
from rtbci.sinks.base import Sink
from rtbci.sources.base import Source
from rtbci.tick import Decoder
from rtbci.types import StreamInfo

if TYPE_CHECKING:
    from rtbci.calibration.profile import Profile

MakeView = Callable[[Pipeline, Recorder | None], ViewWriter | None]
"""Makes what other processes see of a session, or None."""
THREADS = 1
"""Torch and BLAS threads of the engine: a second one gains a fifth, and under load costs the
99th percentile a hundredfold."""
DECODER_LIBRARIES = ("scikit-learn", "pyriemann", "skops")
"""What decoders are made of; asked for their versions only, since they are slow to import."""
DECODER_FOLDER = "decoder"
"""Copy of the subject's profile in a recording, so that the replay decodes with the same."""


def make_engine(
    settings: RunSettings,
    *,
    publish: Publish,
    clock: Clock | None = None,
    view: MakeView | None = None,
) -> Engine:
    """Put a session together; nothing is opened yet.

    Parameters
    ----------
    settings : RunSettings
    publish : callable
        Takes the events.
    clock : Clock | None
        The machine's where None.
    view : callable | None
        As in :class:`rtbci.runtime.EngineParts`.

    Raises
    ------
    BadInputError
        Where a name or a value in the settings is not one that can be used.
    """
    clock = clock or MonotonicClock()
    limit_threads()
    session = _Session(settings, clock, publish)
    parts = EngineParts(
        source=make_source(settings.source, settings.montage, clock),
        prepare=session.prepare,
        build=session.build,
        record=None if settings.record is None else session.record,
        observers=session.observers,
        sinks=make_sinks(settings, clock),
        extra=_extra_streams(settings.source, clock),
        view=view or _no_view,
    )
    engine = EngineSettings(
        paced=settings.source.paced,
        duration_s=settings.duration_s,
        events=settings.events,
        status_s=settings.status_s,
    )
    return Engine(parts, settings.session, engine, clock=clock, publish=publish)


def _no_view(_pipeline: Pipeline, _recorder: Recorder | None) -> None:
    return None


def limit_threads() -> None:
    """One thread for torch and BLAS in this process, from here on."""
    torch.set_num_threads(THREADS)
    threadpool_limits(THREADS)


def make_source(settings: SourceSettings, montage: str | None, clock: Clock) -> Source:
    """Make the source that the settings name; not open yet."""
    # NB: each branch imports its own module, so that a session loads one driver only.
    if settings.kind == "lsl":
        from rtbci.sources.lsl import LSLSource

        return LSLSource(settings.name, markers=settings.markers, clock=clock)
    if settings.kind == "fieldtrip":
        from rtbci.sources.fieldtrip import FieldTripSource

        host, port = host_port(settings.name, "--fieldtrip")
        return FieldTripSource(host, port, clock=clock)
    if settings.kind == "replay":
        return _replay(Path(settings.name), settings, montage, clock)
    if settings.simulated:
        from rtbci.sources.simulator import DEFAULT_MONTAGE, SimulatorSource, cue_script

        return SimulatorSource(
            DEFAULT_MONTAGE if montage is None else parse_montage(montage),
            rate=settings.rate,
            seed=settings.seed,
            paced=settings.speed != "max",
            script=cue_script(seed=settings.seed) if settings.scripted else None,
            skill=settings.skill,
            clock=clock,
        )
    from rtbci.sources.brainflow import BrainFlowSource

    return BrainFlowSource(
        settings.name,
        serial_port=settings.serial_port,
        gain=settings.gain,
        params=_params(settings.params),
        aux=settings.aux,
        clock=clock,
    )


def _replay(path: Path, settings: SourceSettings, montage: str | None, clock: Clock) -> Source:
    from rtbci.playback import file_source

    speed: float | Literal["max"] = "max" if settings.speed == "max" else float(settings.speed)
    return file_source(
        path,
        speed=speed,
        montage=montage,
        clock=clock,
        board=settings.file_board,
        stream=settings.file_stream,
    )


def _params(pairs: Sequence[str]) -> dict[str, str]:
    made = {}
    for pair in pairs:
        key, sep, value = pair.partition("=")
        if not sep or not key:
            raise BadInputError(
                f"--board-param needs KEY=VALUE (as in mac_address=...), got {pair!r}."
            )
        made[key] = value
    return made


def _extra_streams(settings: SourceSettings, clock: Clock) -> tuple[ExtraStream, ...]:
    if not settings.extra:
        return ()
    from rtbci.sources.lsl import LSLSource

    return tuple(ExtraStream(name, LSLSource(name, clock=clock)) for name in settings.extra)


def make_sinks(settings: RunSettings, clock: Clock) -> tuple[Sink, ...]:
    """Make the outputs that the settings ask for; not open yet."""
    made: list[Sink] = []
    if settings.lsl_out:
        from rtbci.sinks.lsl import LSLSink

        made.append(LSLSink(settings.session.output, clock=clock))
    if settings.osc is not None:
        from rtbci.sinks.osc import OSCSink

        host, port = host_port(settings.osc, "--osc")
        made.append(OSCSink(host, port, settings.session.output, clock=clock))
    return tuple(made)


@dataclass
class _Session:
    """The callbacks of one engine, and what they have loaded on the way."""

    settings: RunSettings
    clock: Clock
    publish: Publish
    profile: Profile | None = None

    def prepare(self, info: StreamInfo) -> StreamInfo:
        """Name the channels by the montage."""
        source = self.settings.source
        if self.settings.montage is None or source.simulated or source.is_file:
            return info  # the source has named them itself
        return apply_montage(info, parse_montage(self.settings.montage))

    def build(self, info: StreamInfo, skip: Skip) -> Pipeline:
        """Load model and decoder."""
        settings = self.settings
        require_eeg(info)
        config = settings.session
        loaded = load_model(settings.model, info.electrodes, config, settings.device)
        if loaded.note:
            self._note(loaded.note)
        decoder = None
        if settings.subject is not None and settings.decodes:
            decoder = self._decoder(settings.subject, info)
        pipeline = Pipeline(info, config, loaded.model, decoder, skip=skip)
        if settings.as_recorded:
            steer_as_recorded(pipeline, open_recording(Path(settings.source.name)))
        return pipeline

    def _decoder(self, subject: str, info: StreamInfo) -> Decoder | None:
        # NB: imported here, since scikit-learn costs a session without a subject two seconds.
        from rtbci.calibration.online.decoder import online_decoder
        from rtbci.calibration.profile import find_profile, open_profile

        told = self.settings.profile
        self.profile = find_profile(subject) if told is None else open_profile(Path(told))
        if self.profile is not None:
            labels = wanted_classes(self.settings.classes, self.settings.source)
            return online_decoder(
                self.profile,
                info.decoder_channels,
                self.settings.session,
                labels,
                source_rate=info.rate,
            )
        self._note(
            f"{subject} has no profile yet, so decodes are uncalibrated; make one with: "
            f"rtbci calibrate --from RECORDING --subject {subject}"
        )
        return None

    def record(self, info: StreamInfo, pipeline: Pipeline, started: float) -> Recorder:
        """Begin the recording, with all that a replay needs beside it."""
        settings = self.settings
        assert settings.record is not None
        recorder = Recorder(
            Path(settings.record),
            info,
            settings.session,
            subject=settings.subject or "unknown",
            task=settings.task,
            extra=session_facts(settings, pipeline),
            started=started,
        )
        if self.profile is not None:
            from rtbci.calibration.profile import copy_profile

            copy_profile(self.profile, recorder.folder / DECODER_FOLDER)
        return recorder

    def observers(self, pipeline: Pipeline) -> Sequence[Observer]:
        """Score the trials where markers say what was wanted."""
        classes = wanted_classes(self.settings.classes, self.settings.source)
        if not classes or not pipeline.classes:
            return ()
        trial_s = self.settings.session.decode.trial_s
        return (TrialScorer(pipeline.classes, classes, trial_s, pipeline.decoder_window_s),)

    def _note(self, sentence: str) -> None:
        self.publish({"event": "note", "message": sentence})


def wanted_classes(classes: str | None, source: SourceSettings) -> dict[str, str]:
    """Map marker labels to classes: as told, else by what the recording itself says."""
    if classes is not None:
        return parse_classes(classes)
    if source.kind == "replay":
        return known_classes(Path(source.name))
    if source.simulated:
        return {name: name for name in ("left_hand", "right_hand")}
    return {}


def steer_as_recorded(pipeline: Pipeline, recording: Recording) -> None:
    """Let a pipeline that is to play a recording change what was changed by hand then."""
    for command in recording.commands():
        if command.kind in STEER_KINDS and command.sample is not None:
            pipeline.steer(command.sample, read_steer(command.kind, command.values))


def session_facts(settings: RunSettings, pipeline: Pipeline) -> dict[str, Any]:
    """All that decides a result beside signal and config, for the recording's session file."""
    return {
        "settings": dataclasses.asdict(settings),
        "classes": wanted_classes(settings.classes, settings.source),
        "model": {
            "name": pipeline.model.name,
            "hash": pipeline.model.identity,
            "asked": _asked(settings.model),
        },
        "decoder": None if pipeline.decoder is None else {"name": pipeline.decoder.name},
        "platform": platform_facts(pipeline.model.device),
    }


def _asked(model: str | None) -> str | None:
    """Name of the model, or its path as it is found from any folder."""
    if model is None or model == "ar" or model in zoo_names():
        return model
    return str(Path(model).resolve())


def platform_facts(device: str) -> dict[str, Any]:
    """What two machines must share for their results to be the same to the last bit."""
    return {
        "rtbci": rtbci.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        **{name: metadata.version(name) for name in DECODER_LIBRARIES},
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device,
        "compiled": False,
    }
