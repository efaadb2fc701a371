"""A session of the simulated subject, as fast as the machine can, on a clock moved by hand.

    protocol --markers--> simulated subject --rows--> timeline --> recording

What comes out is a recording as a live session of that subject would have left it, without
decodes, and the same seeds give it again to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rtbci.acquisition import Acquisition
from rtbci.calibration.protocol.config import ProtocolConfig
from rtbci.calibration.protocol.machine import Due, Event, Protocol
from rtbci.clock import ManualClock
from rtbci.config import SessionConfig
from rtbci.recording.writer import Recorder
from rtbci.sources.simulated_signal import SignalConfig
from rtbci.sources.simulator import DEFAULT_MONTAGE, SimulatorSource

STEP_S = 0.1
"""The clock moves on so far at once: longer than nobody reacts."""
OnBlock = Callable[[Path, Event], None]


@dataclass(frozen=True)
class SubjectSettings:
    """Who is simulated.

    Attributes
    ----------
    montage : tuple of str
    rate : float
        Hz.
    seed : int
        Of the signal.
    skill : float
        Signal-to-noise ratio; with 0 she imagines nothing.
    signal : SignalConfig
    """

    montage: tuple[str, ...] = DEFAULT_MONTAGE
    rate: float = 250.0
    seed: int = 0
    skill: float = 1.0
    signal: SignalConfig = field(default_factory=SignalConfig)


def class_map(configs: tuple[ProtocolConfig, ...]) -> dict[str, str]:
    """Classes of a session by marker label: cues are called as what they ask for.

    Those of a protocol without trials are none.
    """
    return {name: name for c in configs if c.blocks.count for name in c.classes}


def rehearse(
    configs: ProtocolConfig | tuple[ProtocolConfig, ...],
    parent: Path,
    who: SubjectSettings | None = None,
    *,
    seed: int = 0,
    subject: str = "simulated",
    config: SessionConfig | None = None,
    on_block: OnBlock | None = None,
) -> Path:
    """Record a whole session of the simulated subject.

    Parameters
    ----------
    configs : ProtocolConfig or tuple of them
    parent : Path
        Folder in which the recording's own folder is made.
    who : SubjectSettings | None
    seed : int
        Of the protocol's order and jitter.
    subject : str
        For the recording's name.
    config : SessionConfig | None
    on_block : callable | None
        Told of each block that is complete, with the recording so far.

    Returns
    -------
    folder : Path

    Raises
    ------
    BadInputError
        Where nothing can be recorded there, or the subject's settings are impossible.
    """
    configs = (configs,) if isinstance(configs, ProtocolConfig) else configs
    who, config = who or SubjectSettings(), config or SessionConfig()
    clock = ManualClock()
    source = SimulatorSource(
        who.montage, who.rate, who.seed, clock=clock, skill=who.skill, signal=who.signal
    )
    info = source.open()
    line = Acquisition(source, info, config.timeline, clock, watch=False, notice=lambda _, __: None)
    protocol = Protocol(configs, seed, clock.now())
    facts = {"classes": class_map(configs), "protocol": [c.title for c in configs], "seed": seed}
    recorder = Recorder(
        parent,
        info,
        config,
        subject=subject,
        task="calibration",
        extra=facts,
        started=clock.now(),
        clock=clock,
    )
    try:
        while not protocol.done:
            chunk = line.step()
            if chunk is not None:
                recorder.write_chunk(chunk)
            _, events = protocol.at(clock.now())
            for event in events:
                if event.due in (Due.SHOW, Due.SPAN):
                    source.on_marker(event.marker())
                    line.place(event.marker())
                elif event.due is Due.BLOCK_DONE and on_block is not None:
                    on_block(recorder.folder, event)
            clock.advance(STEP_S)
        rest = line.finish()
        if rest is not None:
            recorder.write_chunk(rest)
    finally:
        recorder.close({"ended": ""})
    return recorder.folder
