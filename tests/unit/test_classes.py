import pytest

from rtbci.classes import classes_for, parse_classes
from rtbci.errors import BadInputError


def test_parse_keeps_order_and_strips() -> None:
    assert list(parse_classes("T2=right_hand, T1 = left_hand").items()) == [
        ("T2", "right_hand"),
        ("T1", "left_hand"),
    ]


def test_two_markers_may_mean_one_class() -> None:
    assert parse_classes("769=hand,770=hand") == {"769": "hand", "770": "hand"}


@pytest.mark.parametrize("text", ["", "T1", "T1=", "=left_hand", "T1=left_hand,"])
def test_parse_refuses_what_is_no_mapping(text: str) -> None:
    with pytest.raises(BadInputError, match="MARKER=CLASS"):
        parse_classes(text)


def test_parse_refuses_a_marker_with_two_classes() -> None:
    with pytest.raises(BadInputError, match="'T1' two classes: a and b"):
        parse_classes("T1=a,T1=b")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("S001R04.edf", {"T1": "left_hand", "T2": "right_hand"}),
        ("data/s014r12.edf", {"T1": "left_hand", "T2": "right_hand"}),
        ("S001R06.edf", {"T1": "both_hands", "T2": "both_feet"}),
        ("S001R13.edf", {"T1": "both_hands", "T2": "both_feet"}),
        ("S001R01.edf", {"T0": "rest"}),
        ("S001R15.edf", {}),
        ("S001R04_clean.edf", {}),
        ("sample.gdf", {}),
    ],
)
def test_classes_by_run_number(name: str, expected: dict[str, str]) -> None:
    assert classes_for(name) == expected
