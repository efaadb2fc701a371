from __future__ import annotations

import numpy as np
import pytest

from rtbci.sources.labels import make_layout
from rtbci.types import ChannelType


def test_nothing_stated_is_eeg_in_microvolts_with_a_note() -> None:
    layout = make_layout(3, stream_type="EEG")
    assert [c.name for c in layout.channels] == ["Ch1", "Ch2", "Ch3"]
    assert all(c.type is ChannelType.EEG and c.unit == "µV" for c in layout.channels)
    np.testing.assert_array_equal(layout.scale, 1.0)
    (note,) = layout.notes
    assert note == "3 of 3 channels state no unit; their values are taken as µV."


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("microvolts", 1.0), ("uV", 1.0), ("µV", 1.0), ("μV", 1.0), ("-6", 1.0),
        ("volts", 1e6), ("V", 1e6), ("0", 1e6), ("millivolts", 1e3), (" mV ", 1e3), ("nV", 1e-3),
    ],
)  # fmt: skip
def test_voltages_become_microvolts(unit: str, factor: float) -> None:
    layout = make_layout(1, stream_type="EEG", labels=["C3"], units=[unit])
    assert (layout.scale[0], layout.channels[0].unit, layout.notes) == (factor, "µV", ())


def test_an_unknown_unit_is_taken_as_microvolts_and_said() -> None:
    layout = make_layout(2, stream_type="EEG", labels=["C3", "C4"], units=["counts", "uV"])
    np.testing.assert_array_equal(layout.scale, 1.0)
    assert layout.notes == ("1 of 2 channels state 'counts'; their values are taken as µV.",)


def test_auxiliary_channels_keep_type_and_unit() -> None:
    layout = make_layout(
        5,
        stream_type="EEG",
        labels=["C3", "AccX", "Trig", "HEO", "Battery"],
        types=["eeg", "acc", "Stim", "EOG", "battery"],
        units=["uV", "g", "0", "volts", "-3"],
    )
    assert [c.type for c in layout.channels] == [
        ChannelType.EEG, ChannelType.ACCEL, ChannelType.TRIG, ChannelType.EOG, ChannelType.MISC
    ]  # fmt: skip
    assert [c.unit for c in layout.channels] == ["µV", "g", "0", "µV", "-3"]
    np.testing.assert_array_equal(layout.scale, [1, 1, 1, 1e6, 1])


def test_labels_tell_types_that_nobody_stated() -> None:
    layout = make_layout(3, stream_type="EEG", labels=["Fc5.", "EOG-L", "Status"])
    assert [c.name for c in layout.channels] == ["FC5", "EOG-L", "Status"]
    assert [c.type for c in layout.channels] == [
        ChannelType.EEG, ChannelType.EOG, ChannelType.TRIG
    ]  # fmt: skip


def test_electrodes_are_eeg_whatever_the_stream_calls_itself() -> None:
    layout = make_layout(2, stream_type="Signal", labels=["C3", "whatever"])
    assert [c.type for c in layout.channels] == [ChannelType.EEG, ChannelType.MISC]


def test_a_channel_named_twice_is_counted_up_and_said() -> None:
    layout = make_layout(4, stream_type="EEG", labels=["C3", "c3", "C3", None], units=["uV"] * 4)
    assert [c.name for c in layout.channels] == ["C3", "C3 (2)", "C3 (3)", "Ch4"]
    assert layout.notes == ("Channel names that came twice were counted up: C3.",)


def test_more_labels_than_channels_are_ignored() -> None:
    layout = make_layout(1, stream_type="EEG", labels=["C3", "C4"], units=["uV", "uV"])
    assert [c.name for c in layout.channels] == ["C3"]
