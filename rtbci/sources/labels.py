"""From the labels, types and units that a stream on the network states to our channels.

Senders agree on little: types come in any case and language, units as ``uV``, ``microvolts``,
``volts`` or MNE's powers of ten (``-6``), labels padded (``C3..``), doubled or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.montage import guess_type, is_standard, normalise
from rtbci.types import Channel, ChannelType

_VOLTAGES = {
    name: factor
    for factor, names in {
        1e-3: ("nv", "nanovolt", "nanovolts", "-9"),
        1.0: ("uv", "µv", "μv", "microvolt", "microvolts", "-6"),
        1e3: ("mv", "millivolt", "millivolts", "-3"),
        1e6: ("v", "volt", "volts", "0"),
    }.items()
    for name in names
}
_TYPES = {t.value.lower(): t for t in ChannelType} | {
    "exg": ChannelType.EEG,
    "ekg": ChannelType.ECG,
    "acc": ChannelType.ACCEL,
    "accelerometer": ChannelType.ACCEL,
    "reference": ChannelType.REF,
    "stim": ChannelType.TRIG,
    "trigger": ChannelType.TRIG,
    "triggers": ChannelType.TRIG,
    "markers": ChannelType.TRIG,
    "aux": ChannelType.MISC,
}
BIOSIGNALS = (ChannelType.EEG, ChannelType.EOG, ChannelType.EMG, ChannelType.ECG)
"""Types that are µV; others keep the unit of their source unless it is a voltage."""


@dataclass(frozen=True)
class Layout:
    """The channels of a stream.

    Attributes
    ----------
    channels : tuple of Channel
    scale : ndarray, shape (n_channels,), float64
        What the sender's values are multiplied by.
    notes : tuple of str
        What had to be assumed, as sentences.
    """

    channels: tuple[Channel, ...]
    scale: npt.NDArray[np.float64]
    notes: tuple[str, ...]


def make_layout(
    n_channels: int,
    *,
    stream_type: str,
    labels: Sequence[str | None] | None = None,
    types: Sequence[str | None] | None = None,
    units: Sequence[str | None] | None = None,
) -> Layout:
    """Read what a sender says of its channels.

    Parameters
    ----------
    n_channels : int
    stream_type : str
        Of the whole stream (``EEG``); it is the type of channels that state none.
    labels, types, units : sequence of str | None
        One a channel where the sender states them.

    Returns
    -------
    layout : Layout
        Channels without label are ``Ch1``, ``Ch2``, ...; biosignals without a unit that we know
        are taken as µV, with a note.
    """
    said_labels, said_types, said_units = (
        [(s or "").strip() for s in (said or ())][:n_channels]
        + [""] * (n_channels - len(said or ()))
        for said in (labels, types, units)
    )
    default = _TYPES.get(stream_type.strip().lower(), ChannelType.MISC)
    names, channels, scale, unknown = [], [], np.ones(n_channels), []
    for i in range(n_channels):
        label, unit = said_labels[i], said_units[i]
        kind = _kind(label, said_types[i], default)
        biosignal = kind in BIOSIGNALS
        factor = _VOLTAGES.get(unit.lower())
        if factor is not None and unit.lstrip("-").isdigit() and not biosignal:
            factor = None  # a power of ten says nothing where volts are not implied
        if factor is not None:
            scale[i] = factor
        elif biosignal:
            unknown.append(unit)
        name = normalise(label) if kind is ChannelType.EEG else label
        names.append(name or f"Ch{i + 1}")
        channels.append((kind, "µV" if biosignal or factor is not None else unit or "n/a"))
    unique, doubled = _count_up(names)
    notes = []
    if unknown:
        stated = ", ".join(sorted({repr(u) for u in unknown if u})) or "no unit"
        notes.append(
            f"{len(unknown)} of {n_channels} channels state {stated}; their values are taken as µV."
        )
    if doubled:
        notes.append(f"Channel names that came twice were counted up: {', '.join(doubled)}.")
    made = tuple(Channel(name, *rest) for name, rest in zip(unique, channels, strict=True))
    return Layout(made, scale, tuple(notes))


def _kind(label: str, said: str, default: ChannelType) -> ChannelType:
    """Type of one channel: as stated, else as the label tells, else the stream's."""
    kind = _TYPES.get(said.lower())
    if kind is None:
        kind = ChannelType.MISC if said else default
        if default is ChannelType.MISC and is_standard(normalise(label)) and not said:
            kind = ChannelType.EEG
    # NB: senders that call all their channels EEG often mean EOG and triggers too.
    return guess_type(label) if kind is ChannelType.EEG and label else kind


def _count_up(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make names unique (``X``, ``X (2)``); also tell which came more than once."""
    made: list[str] = []
    doubled: list[str] = []
    for name in names:
        unique, n = name, 1
        while unique in made:
            n += 1
            unique = f"{name} ({n})"
        if n == 2:
            doubled.append(name)
        made.append(unique)
    return made, doubled
