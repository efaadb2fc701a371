"""What an evaluation of forecasts prints: a terminal's width, a page, a card, plain values."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from pretraining import NAMES, brain
from recordings import write_brainvision
from rich.console import Console
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.apps.commands_forecast import shown
from rtbci.errors import BadInputError
from rtbci.models.pretrain.evaluation import report, tables
from rtbci.models.pretrain.evaluation.methods import METHODS
from rtbci.models.pretrain.evaluation.moments import CausalSignal, Moments
from rtbci.models.pretrain.evaluation.phase import PHASE_METHODS, PhaseSums
from rtbci.models.pretrain.evaluation.scores import ForecastScores, SubjectScores, score_subject
from rtbci.models.pretrain.evaluation.sums import RecordingSums, SubjectSums

ELECTRODES = ("C3", "Fz", "T7", "O1")


def subject(seed: int) -> SubjectScores:
    """Score white noise whose forecasts get worse from method to method."""
    rng = np.random.default_rng(seed)
    shape = (40, 250, len(ELECTRODES))
    future = (10 * rng.standard_normal(shape)).astype(np.float32)
    zeros = np.zeros((500, len(ELECTRODES)), np.float32)
    stretch = CausalSignal("r", f"s{seed}", ELECTRODES, 250.0, zeros, zeros, zeros)
    some = Moments(
        rows=np.arange(40),
        forecasts={
            m: future * np.float32(1 - 0.1 * (i + 1) - 0.01 * seed) for i, m in enumerate(METHODS)
        },
        spreads={
            m: np.full((40, 10, len(ELECTRODES)), 5.0, np.float32)
            for m in ("model", "blend", "ar", "mean")
        },
        quantiles=np.stack(
            [np.full((40, 2, 10, len(ELECTRODES)), 5.0 * k, np.float32) for k in range(5)], axis=1
        ),
        future=future,
        usable=np.ones((40, len(ELECTRODES)), np.bool_),
        artefact=rng.random((40, len(ELECTRODES))) < 0.4,
    )
    sums = RecordingSums(stretch, 250, robust=True)
    sums.add(some)
    own = SubjectSums(ELECTRODES)
    sums.finish(own)
    phase = PhaseSums({m: np.full(4, 50.0 * 30 + i) for i, m in enumerate(PHASE_METHODS)}, 30, 90)
    return score_subject(f"s{seed}", "0123456789abcdef", [own], phase)


@pytest.fixture(scope="module")
def scores() -> ForecastScores:
    return ForecastScores(
        model="eegpt-base",
        high_pass_hz=0.5,
        folds=4,
        subjects=tuple(map(subject, range(3))),
        left_out=("s9",),
        trusted=True,
        notes=("r9.edf is left out: too short.",),
        every_s=1.0,
        warm_up_s=60.0,
    )


def test_every_table_fits_a_terminal(scores: ForecastScores) -> None:
    for sheet in tables.sheets(scores):
        if not sheet.main:
            continue
        said = StringIO()
        for part in shown(sheet):
            Console(file=said, width=100).print(part)
        lines = said.getvalue().splitlines()
        assert max(map(len, lines)) <= 100
        assert "…" not in said.getvalue(), f"{sheet.title} is cut"
        for row in sheet.rows:
            for cell in row[1:]:
                assert all(part in said.getvalue() for part in cell.split(" [")), cell


def test_gains_are_paired_and_in_percent(scores: ForecastScores) -> None:
    for i, s in enumerate(scores.subjects):
        first = s.errors["model"][0, 0, 0], s.errors["blend"][0, 0, 0]
        np.testing.assert_allclose(first, [(0.1 + 0.01 * i) ** 2, (0.3 + 0.01 * i) ** 2], rtol=0.02)
    gain = scores.percent(0)
    assert gain.low <= gain.mean <= gain.high < -80
    assert scores.difference(0, "central", "artefact").subjects == 3
    assert scores.phase("model", 0, "ar").mean == pytest.approx(-2 / 30)


def test_the_page_has_the_command_and_every_table(scores: ForecastScores) -> None:
    page = report.page(scores, "rtbci evaluate forecast EEGMMIDB --model FOLDS")
    assert "    rtbci evaluate forecast EEGMMIDB --model FOLDS\n" in page
    assert "Each subject is scored by weights that have not seen her" in page
    assert "Left out, because the weights were trained on them: s9." in page
    assert "r9.edf is left out" in page
    assert "Few subjects" in page
    for sheet in tables.sheets(scores):
        assert f"## {sheet.title}\n" in page
        assert all(len(row) == len(sheet.head) for row in sheet.rows), sheet.title
    for wanted in ("delta", "beta", "Coverage of the 50 %", "CRPS", "ETP minus AR", "filter and"):
        assert wanted in page


def test_the_card_has_what_a_reader_looks_for(scores: ForecastScores) -> None:
    card = report.card_text(scores, "rtbci evaluate forecast EEGMMIDB")
    assert "| horizon, ms | model | rollout | linear blend | AR, 60 s | pooled ridge |" in card
    assert "model minus blend [95 %] | in % [95 %] |" in card
    assert "| central |" in card
    assert "Coverage of the 90 % interval, %" in card
    assert "| Yule-Walker |" in card
    assert "temporal" not in card


def test_scores_on_known_subjects_say_so(scores: ForecastScores) -> None:
    assert "NOT A TEST" in report.who(replace(scores, trusted=False))[0]


def test_plain_values_are_json(scores: ForecastScores) -> None:
    values = json.loads(json.dumps(report.to_dict(scores)))
    first = values["skill"][0]
    assert first["horizon_ms"] == [0, 50]
    assert len(first["model_minus_blend"]) == len(first["percent"]) == 3
    axes = [len(values["axes"][a]) for a in values["axes"]["errors"]]
    assert np.shape(values["scores"][0]["errors"]["model"]) == tuple(axes)


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minute")
    write_brainvision(folder / "S001R04.vhdr", NAMES, brain(0, 75), [], 250)
    return folder


def test_the_command_writes_what_it_prints(minute: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    told = ["evaluate", "forecast", str(minute), "--model", "ar", "--highpass", "1"]
    told += ["--electrodes", "C3,C4", "--markdown", str(page)]
    done = CliRunner().invoke(app, [*told, "--json"], catch_exceptions=False)
    values = json.loads(done.stdout)
    assert values["high_pass_hz"] == 1.0
    assert values["subjects"] == ["eegmmidb-S001"]
    written = page.read_text(encoding="utf-8")
    assert f"    rtbci evaluate forecast {minute.name} --model ar --highpass 1.0 " in written
    assert f"{values['skill'][0]['ar']:.3f}" in written


def test_wrong_wishes_are_refused(minute: Path, tmp_path: Path) -> None:
    def ask(*more: str) -> None:
        told = ["evaluate", "forecast", str(minute), "--model", "ar", *more]
        CliRunner().invoke(app, told, catch_exceptions=False, standalone_mode=False)

    with pytest.raises(BadInputError, match="is no folder, so"):
        ask("--markdown", str(tmp_path / "none" / "page.md"))
    with pytest.raises(BadInputError, match="ask for one of them"):
        ask("--card", "--json")
    with pytest.raises(BadInputError, match="nothing to score"):
        ask("--electrodes", "Oz,POz")
    with pytest.raises(BadInputError, match="neither a file nor a known montage"):
        ask("--electrodes", "foo")
