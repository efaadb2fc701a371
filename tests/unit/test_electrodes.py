"""The electrode vocabulary: spellings, places, and that its rows never move."""

from __future__ import annotations

import numpy as np
import pytest

from rtbci.models.electrodes import (
    GENERIC,
    digest,
    electrode_ids,
    graph_nodes,
    names,
    placeless,
    row_of,
    size,
)
from rtbci.montage import directions
from rtbci.sites import CENTRE_M, RADIUS_M, nearest_sites

FIRST_340 = "4f72d879591f132e78891f4f74890215c1e0ac1ef771c089fa16765f669aa0dc"


def test_rows_are_only_ever_appended() -> None:
    """Weights have been published with these rows: moving or removing one would mix them up."""
    assert digest(340) == FIRST_340
    assert size() >= 340
    assert len(set(names())) == len(names())


@pytest.mark.parametrize(
    ("spelled", "site"),
    [
        ("Cz", "Cz"),
        ("FCZ", "FCz"),
        ("t3", "T7"),
        ("T4", "T8"),
        ("T5", "P7"),
        ("T6", "P8"),
        ("Fc5.", "FC5"),
        ("C3..", "C3"),
        ("EEG Fp1", "Fp1"),
        ("EEG Fp1-Ref", "Fp1"),
        ("EEG T3-LE", "T7"),
        ("F4-A1", "F4"),
        ("C3-M2", "C3"),
        ("Fp1-F7", "Fp1"),
        ("EEG Fpz-Cz", "Fpz"),
        ("O1 - Cz", "O1"),
        ("CPP5h", "CPP5h"),
        ("M1", "M1"),
    ],
)
def test_all_spellings_of_a_site_have_its_row(spelled: str, site: str) -> None:
    assert row_of(spelled) == 1 + names().index(site)


@pytest.mark.parametrize("name", ["LAH3", "EEG 5", "7", "", "POL X1", "Fp1-LAH3", "X1-X2", "E36"])
def test_what_tells_no_place_is_generic(name: str) -> None:
    assert electrode_ids([name]) == [GENERIC]
    assert placeless(["C3", name, "O2"]) == [name]


def test_what_training_never_saw_is_generic() -> None:
    assert electrode_ids(["C3", "T3", "Oz"], known=["EEG C3-Ref", "T7"]) == [
        row_of("C3"),
        row_of("T7"),
        GENERIC,
    ]


def test_the_graph_has_138_nodes() -> None:
    nodes = graph_nodes()
    assert len(nodes) == len(set(nodes)) == 138
    assert {"Fp1", "Cz", "Iz", "T10", "FFC1h", "PPO9h", "M1", "M2"} <= set(nodes)
    assert GENERIC not in electrode_ids(nodes)


def on_head(site: str, depth: float = 1.0) -> tuple[float, float, float]:
    """Head coordinates of a site on a standard head, or beneath it."""
    x, y, z = np.array(CENTRE_M) + depth * RADIUS_M * directions([site])[0]
    return float(x), float(y), float(z)


def test_an_electrode_with_a_position_is_named_after_the_nearest_site() -> None:
    where = {"E1": on_head("C3"), "E2": on_head("POz"), "E3": on_head("Fp2")}
    assert nearest_sites(where) == {"E1": "C3", "E2": "POz", "E3": "Fp2"}


def test_a_larger_head_is_measured_by_its_own_sphere() -> None:
    sites = ("C3", "C4", "Cz", "Pz", "Fz", "Oz", "T7", "T8", "Fpz", "P7")
    where = {
        f"E{i}": tuple(1.2 * np.array(on_head(s)) + [0.005, -0.01, 0.02])
        for i, s in enumerate(sites)
    }
    assert tuple(nearest_sites(where).values()) == sites


def test_a_site_is_given_away_once() -> None:
    x, y, z = on_head("Cz")
    found = nearest_sites({"far": (x + 0.004, y, z), "near": (x, y, z)})
    assert found["near"] == "Cz"
    assert found["far"] != "Cz"
    assert "Cz" not in nearest_sites({"E1": (x, y, z)}, taken=["Cz"]).values()


def test_what_is_deep_or_far_has_no_site() -> None:
    x, y, _ = on_head("Cz")
    where = {"contact": on_head("C3", 0.5), "neck": (x, y, -0.09), "nowhere": (np.nan, 0.0, 0.1)}
    assert nearest_sites(where) == {}
    assert nearest_sites({}) == {}
