"""Settings are checked once, at the edge, with words that say what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtbci.config import SessionConfig, from_dict, load_config, to_dict
from rtbci.errors import BadInputError


def test_defaults_survive_plain_values() -> None:
    config = SessionConfig()
    assert from_dict(SessionConfig, to_dict(config)) == config


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('forecast = "rollout"\n[preprocess]\nhigh_pass_hz = 1\nline_hz = [50]\n')
    config = load_config(path)
    assert config.forecast == "rollout"
    assert config.preprocess.high_pass_hz == 1.0
    assert config.preprocess.line_hz == (50.0,)
    assert config.preprocess.low_pass_hz == SessionConfig().preprocess.low_pass_hz


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[preproces]\n", "no setting 'preproces'; it knows: .*preprocess"),
        ("[preprocess]\nhighpass = 1\n", "no setting 'highpass'.*high_pass_hz"),
        ('[preprocess]\nhigh_pass_hz = "1"\n', "high_pass_hz must be a number, got '1'"),
        ("[preprocess]\nhigh_pass_hz = nan\n", "must be a finite number"),
        (
            "[preprocess]\nhigh_pass_order = 2.5\n",
            "high_pass_order must be a whole number",
        ),
        ("[preprocess]\nline_hz = 50\n", "line_hz must be a list, got 50"),
        ("[decode]\ntrial_s = [1.0]\n", "trial_s must have 2 values"),
        ("preprocess = 3\n", "preprocess must be a table, got 3"),
        ('forecast = "both"\n', "forecast must be one of 'direct', 'rollout', got 'both'"),
        ("[preprocess\n", "is not valid TOML"),
        ("[token]\nhop_s = 0\n", "token.hop_s is 0.0, but must be at least one sample"),
        ("[token]\nhop_s = 2\n", "token.window_s is 1.0, but must be at least token.hop_s"),
        ("[token]\nhistory_s = 1\n", "token.history_s is 1.0, but must be at least"),
        ("[decode]\nthreshold = 1.5\n", "decode.threshold is 1.5, but must be above 0"),
        ("[decode]\ntrial_s = [3, 1]\n", "decode.trial_s is .*the later one last"),
        ("[timeline]\nbridge_s = -1\n", "timeline.bridge_s is -1.0, but must be 0 or more"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=message):
        load_config(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"lab\.toml can't be read: No such file"):
        load_config(tmp_path / "lab.toml")
