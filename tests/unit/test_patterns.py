"""A pattern shows where a decoder's signal comes from, and fits a terminal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rtbci.calibration.controls.patterns import find_patterns, haufe_pattern, head_map
from rtbci.calibration.decoders.catalogue import csp_lda, ts_lr
from rtbci.montage import MONTAGES

NAMES = MONTAGES["motor-8"]


def imagery(n: int = 60, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """C3 loses power in class 1; noise that C3 and CPz share hides some of it."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = 5 * rng.standard_normal((n, len(NAMES), 200))
    source = 10 * rng.standard_normal((n, 200)) * np.where(y, 0.3, 1.0)[:, np.newaxis]
    noise = 10 * rng.standard_normal((n, 200))
    x[:, NAMES.index("C3")] += source + noise
    x[:, NAMES.index("CPz")] += noise
    return x.astype(np.float32), y.astype(np.int64)


@pytest.mark.parametrize("make", [csp_lda, ts_lr])
def test_the_source_is_shown_and_not_what_cancels_its_noise(make: Any) -> None:
    """The filter weighs CPz to take the shared noise off C3; no signal comes from there."""
    x, y = imagery()
    pattern = haufe_pattern(make().fit(x, y), x, x)
    assert pattern.shape == (1, len(NAMES))
    others = np.delete(pattern[0], NAMES.index("C3"))
    assert pattern[0, NAMES.index("C3")] < -0.5
    assert np.abs(others).max() < 0.5


def test_an_electrode_that_the_decoder_does_not_read_can_be_shown() -> None:
    x, y = imagery()
    fitted = ts_lr().fit(x, y)
    outside = np.concatenate([x, x[:, [NAMES.index("C3")]]], axis=1)
    pattern = haufe_pattern(fitted, x, outside)
    assert pattern[0, -1] == pytest.approx(pattern[0, NAMES.index("C3")])


def test_every_class_of_several_has_its_own() -> None:
    x, y = imagery()
    y = np.where(np.arange(len(y)) % 3 == 2, 2, y)
    found = find_patterns(
        ts_lr().fit(x, y), x, ((8.0, 30.0),), NAMES, ("left_hand", "right_hand", "feet")
    )
    assert [p.output for p in found] == [
        f"{c} against the rest" for c in ("left_hand", "right_hand", "feet")
    ]


def test_bands_are_told_apart() -> None:
    x, y = imagery()
    still = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    both = np.concatenate([still, x], axis=1)
    bands = ((8.0, 13.0), (13.0, 30.0))
    found = find_patterns(ts_lr().fit(both, y), both, bands, NAMES, ("left_hand", "right_hand"))
    assert [p.band_hz for p in found] == list(bands)
    assert found[0].output == "right_hand against left_hand"
    at = NAMES.index("C3")
    assert found[1].values[at] < -0.5 < found[0].values[at]


def test_a_dead_channel_is_zero() -> None:
    x, y = imagery()
    fitted = ts_lr().fit(x, y)
    dead = np.zeros_like(x[:, :1])
    np.testing.assert_array_equal(haufe_pattern(fitted, x, dead), [[0.0]])


@pytest.mark.parametrize("name", list(MONTAGES))
def test_the_map_fits_and_names_every_electrode_once(name: str) -> None:
    names = MONTAGES[name]
    lines = head_map(names, np.linspace(-1, 1, len(names)).tolist())
    assert max(map(len, lines)) < 80
    words = " ".join(lines).split()
    assert len(words) == len(names) + 1
    for electrode, value in zip(names, np.linspace(-1, 1, len(names)), strict=True):
        assert words.count(f"{electrode}{round(100 * value):+d}") == 1


def test_the_map_lies_like_the_head() -> None:
    lines = head_map(("Fpz", "C3", "Cz", "C4", "Oz"), (0.0, 0.1, 0.2, 0.3, 0.4))
    assert [line.split()[0] for line in lines] == ["nose", "Fpz+0", "C3+10", "Oz+40"]
    middle = lines[2]
    assert middle.index("C3") < middle.index("Cz") < middle.index("C4")


def test_electrodes_without_a_place_are_listed_below() -> None:
    lines = head_map(("C3", "Ch7"), (0.5, -0.25))
    assert lines[-1].split() == ["Ch7-25"]
    assert head_map(("Ch1",), (0.1,)) == ["  Ch1+10"]
