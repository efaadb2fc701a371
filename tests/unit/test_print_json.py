"""Events as lines of JSON: what is not a number is null."""

from __future__ import annotations

import json

import pytest

from rtbci.apps.printing import print_json


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"event": "summary", "rows": [{"low": float("nan"), "n": 2}, (float("inf"), "x")]})

    def refuse(name: str) -> None:
        raise ValueError(name)

    said = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert said == {"event": "summary", "rows": [{"low": None, "n": 2}, [None, "x"]]}
