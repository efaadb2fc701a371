"""``rtbci evaluate decode`` from files to a page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from imagery import write_imagery
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.evaluation.protocols import Protocol
from rtbci.calibration.evaluation.run import evaluate_decode
from rtbci.errors import BadInputError

CLASSES = "S  1=left,S  2=right"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects with two runs each."""
    folder = tmp_path_factory.mktemp("cohort")
    for subject in (1, 2):
        for run in (1, 2):
            name = f"sub-{subject}_task-mi_run-{run}_eeg.vhdr"
            write_imagery(folder / name, 10, seed=10 * subject + run)
    return folder


def test_a_folder_becomes_paired_tables(cohort: Path) -> None:
    page = cohort / "decoding.md"
    args = ["evaluate", "decode", str(cohort), "--classes", CLASSES, "--decoder", "csp+lda"]
    protocols = ["--protocol", "leave-one-subject-out,within"]
    sets = ["--electrodes", "motor", "--electrodes", "motor-3"]
    made = CliRunner().invoke(app, [*args, *protocols, *sets, "--report", str(page), "--json"])
    assert made.exit_code == 0, made.output
    summary = json.loads(made.stdout)
    tables = {(t["condition"], t["electrodes"]): t for t in summary["tables"]}
    assert set(tables) == {(c, e) for c in ("1 run", "across runs") for e in ("motor", "motor-3")}
    for table in tables.values():
        assert table["subjects"] == 2
        best = table["rows"][0]
        assert best["decoder"] == "csp+lda"
        assert best["balanced"]["mean"] > 0.9
    assert summary["trials"] == {"cues": 40}
    text = page.read_text(encoding="utf-8")
    assert "| csp+lda |" in text
    assert "control: rim, low frequencies" in text
    assert f"    rtbci evaluate decode {cohort.name} --protocol leave-one-subject-out" in text


def scores_of(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if '"cell"' in line]


def test_what_is_on_file_is_not_computed_again(cohort: Path, tmp_path: Path) -> None:
    file, page = tmp_path / "cells.jsonl", tmp_path / "decoding.md"
    args = ["evaluate", "decode", str(cohort), "--classes", CLASSES, "--cells", str(file), "--json"]
    first = CliRunner().invoke(app, [*args, "--decoder", "csp+lda"])
    assert first.exit_code == 0, first.output
    kept = scores_of(file)
    # Killed while it wrote: what was cut off goes, the rest stays.
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + '{"cell": {"proto', encoding="utf-8")
    more = [*args, "--decoder", "csp+lda,mdm", "--report", str(page), "--jobs", "2"]
    second = CliRunner().invoke(app, more)
    assert second.exit_code == 0, second.output
    assert scores_of(file)[: len(kept)] == kept
    added = [json.loads(line)["cell"]["decoder"] for line in scores_of(file)[len(kept) :]]
    assert added == ["mdm", "mdm"]
    rows = [r["decoder"] for r in json.loads(second.stdout)["tables"][0]["rows"]]
    assert rows[:2] == ["csp+lda", "mdm"]
    assert page.read_text(encoding="utf-8").count("    rtbci evaluate decode") == 2
    # Scores of other trials do not stand beside these.
    few = sorted(cohort.glob("sub-1*.vhdr"))[:1]
    other = ["evaluate", "decode", str(few[0]), "--classes", CLASSES, "--cells", str(file)]
    refused = CliRunner().invoke(app, [*other, "--decoder", "ts+lr"])
    assert isinstance(refused.exception, BadInputError)
    assert "holds scores of" in str(refused.exception)
    file.write_text("no scores\n", encoding="utf-8")
    refused = CliRunner().invoke(app, [*args, "--decoder", "csp+lda"])
    assert isinstance(refused.exception, BadInputError)
    assert "line 1" in str(refused.exception)


def test_what_can_not_be_evaluated_is_refused(cohort: Path) -> None:
    with pytest.raises(BadInputError, match="does not say which of its markers mean what"):
        evaluate_decode([cohort], decoders=["csp+lda"])
    with pytest.raises(BadInputError, match="leave --task out"):
        evaluate_decode([cohort], decoders=["csp+lda"], tasks=["imagined"], classes=CLASSES)
    alone = cohort / "sub-1_task-mi_run-1_eeg.vhdr"
    with pytest.raises(BadInputError, match="leave-one-subject-out needs two runs"):
        evaluate_decode(
            [alone],
            protocols=[Protocol.LEAVE_ONE_SUBJECT_OUT],
            decoders=["csp+lda"],
            classes=CLASSES,
        )
    refused = CliRunner().invoke(app, ["evaluate", "decode", str(alone), "--protocol", "magic"])
    assert isinstance(refused.exception, BadInputError)
    assert "no protocol 'magic'" in str(refused.exception)
