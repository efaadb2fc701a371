from pathlib import Path

import numpy as np
import pytest

from rtbci.errors import BadInputError
from rtbci.montage import (
    MONTAGES,
    apply_montage,
    directions,
    guess_type,
    is_standard,
    normalise,
    parse_montage,
    position,
    positions,
)
from rtbci.types import Channel, ChannelType, StreamInfo


def stream(*names: str, types: dict[str, ChannelType] | None = None) -> StreamInfo:
    kinds = types or {}
    channels = tuple(Channel(n, kinds.get(n, ChannelType.EEG), full_scale=1e5) for n in names)
    return StreamInfo(name="board", kind="brainflow", rate=250.0, channels=channels)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("C3..", "C3"),
        ("Fcz.", "FCz"),
        ("Fp1.", "Fp1"),
        ("EEG Fp1-Ref", "Fp1"),
        ("EEG C3", "C3"),
        ("eeg:CZ", "Cz"),
        ("FCZ", "FCz"),
        ("FP1", "Fp1"),
        ("T3", "T7"),
        ("T4", "T8"),
        ("EEG T5-LE", "P7"),
        ("t6", "P8"),
        ("F4-A1", "F4"),
        ("CZ-A2", "Cz"),
        ("AFF5H", "AFF5h"),
        ("EEG A2-A1", "EEG A2-A1"),
        ("Fp1-F7", "Fp1-F7"),
        ("Channel 1", "Channel 1"),
        (" EOG left ", "EOG left"),
    ],
)
def test_normalise(given: str, expected: str) -> None:
    assert normalise(given) == expected


def test_normalise_is_idempotent_on_all_standard_names() -> None:
    assert all(normalise(n) == n and normalise(n.upper()) == n for n in positions())
    assert len(positions()) == 339


def test_positions_are_where_they_belong() -> None:
    x, y, z = position("C3") or (0, 0, 0)
    assert x < -0.05
    assert abs(y) < 0.03
    assert z > 0.05
    assert position("Channel 1") is None
    assert is_standard("C3")
    assert not is_standard("c3")


def test_directions_are_unit_vectors_and_nan_where_unknown() -> None:
    unit = directions(["Cz", "T8", "Fpz", "Ch1"])
    np.testing.assert_allclose(np.linalg.norm(unit[:3], axis=1), 1.0)
    assert unit[0, 2] > 0.98
    assert unit[1, 0] > 0.98
    assert unit[2, 1] > 0.98
    assert np.isnan(unit[3]).all()


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("EOG-L", ChannelType.EOG),
        ("ECG ECG", ChannelType.ECG),
        ("EMG1", ChannelType.EMG),
        ("Status", ChannelType.TRIG),
        ("STI 014", ChannelType.TRIG),
        ("Accel Channel 0", ChannelType.ACCEL),
        ("Channel 1", ChannelType.EEG),
        ("EEG Fp1-Ref", ChannelType.EEG),
    ],
)
def test_guess_type(label: str, kind: ChannelType) -> None:
    assert guess_type(label) is kind


def test_named_montages_are_standard_and_unique() -> None:
    for name, names in MONTAGES.items():
        assert all(map(is_standard, names)), name
        assert len(set(names)) == len(names), name
    assert len(MONTAGES["eegmmidb-64"]) == 64
    assert len(MONTAGES["openbci-daisy"]) == 16


def test_parse_montage_by_name_list_and_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("C3 CZ\nC4, T3  # the left ear side\n-\n")
    assert parse_montage("OpenBCI-Cyton") == MONTAGES["openbci-cyton"]
    assert parse_montage("C3, cz ,none,EEG C4-Ref") == ("C3", "Cz", "-", "C4")
    assert parse_montage(str(file)) == ("C3", "Cz", "C4", "T7", "-")
    assert parse_montage("Cz") == ("Cz",)


def test_parse_montage_errors(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    for text, match in (
        ("openbci-citon", "did you mean openbci-cyton"),
        ("zzz", "neither a file nor a known montage; known: openbci-cyton"),
        ("C3,,C4", "empty name; use -"),
        ("C3,Cz,c3.", "channel named twice: C3 is number 1 and 3"),
        ("-,none", "names no electrode"),
        (str(empty), "empty name"),
        (str(binary), "can't be read as text"),
    ):
        with pytest.raises(BadInputError, match=match):
            parse_montage(text)


def test_apply_montage_names_only_eeg_and_keeps_the_rest() -> None:
    info = stream("Ch1", "Acc", "Ch2", "Ch3", types={"Acc": ChannelType.ACCEL})
    out = apply_montage(info, ["C3", "none", "C4"])
    assert out.electrodes == ("C3", "C4")
    assert out.channels[1] == info.channels[1]
    assert out.channels[2] == Channel("Ch2", ChannelType.MISC, full_scale=1e5)
    assert out.channels[0].full_scale == 1e5
    assert info.electrodes == ("Ch1", "Ch2", "Ch3")


def test_apply_montage_keeps_names_unique_when_an_unused_channel_had_the_name() -> None:
    out = apply_montage(stream("C3", "C4"), ["-", "C3"])
    assert [c.name for c in out.channels] == ["C3 (unused)", "C3"]
    assert out.electrodes == ("C3",)


def test_apply_montage_counts_and_doubles() -> None:
    info = stream("Ch1", "Ch2", "Ch3")
    with pytest.raises(BadInputError, match=r"2 names but board has 3 EEG channels \(Ch1, Ch2, Ch"):
        apply_montage(info, ["C3", "C4"])
    with pytest.raises(BadInputError, match="named twice: C3"):
        apply_montage(info, ["C3", "C4", "c3"])


def test_apply_montage_makes_eeg_of_a_stream_that_has_none() -> None:
    info = stream("A", "Status", types={"A": ChannelType.ECG, "Status": ChannelType.TRIG})
    out = apply_montage(info, ["Cz"])
    assert out.electrodes == ("Cz",)
    assert out.channels[1].type is ChannelType.TRIG


def test_a_named_montage_may_be_part_of_a_list() -> None:
    assert parse_montage("motor-3, Fp1") == ("C3", "Cz", "C4", "Fp1")
    with pytest.raises(BadInputError, match="named twice: Cz"):
        parse_montage("motor-3,Cz")
