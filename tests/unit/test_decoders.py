"""Decoders are scikit-learn estimators, found by name."""

from __future__ import annotations

import sys
import types

import numpy as np
import numpy.typing as npt
import pytest
import skops.io
from pyriemann.estimation import Covariances
from sklearn.svm import LinearSVC

from rtbci.calibration.decoders import riemann
from rtbci.calibration.decoders.catalogue import (
    AUTO,
    BUILT_IN,
    FINE_TUNED,
    decoder_names,
    find_recipe,
    make_decoder,
    ts_lr,
)
from rtbci.calibration.decoders.grouping import TrialBlocks, last_part, trial_groups
from rtbci.calibration.profile import _foreign
from rtbci.errors import BadInputError

Array = npt.NDArray[np.float64]
CLASSIC = ("csp+lda", "ts+lr", "mdm", "fgmdm", "fbcsp+lda", "fbts+lr", "acm+ts+svm")
"""Those that have no network in them; the others have tests of their own."""


def trials(
    n: int, seed: int, channels: int = 8, name: str = ""
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Two classes that differ in the power of one source; in every band of the decoder's view."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((channels, channels))
    y = np.arange(n, dtype=np.int64) % 2
    bands = []
    for _ in find_recipe(name).view.bands_hz if name else [()]:
        sources = rng.standard_normal((n, channels, 250))
        sources[y == 1, 0] *= 2.0
        bands.append(5 * mixing @ sources)
    return np.concatenate(bands, axis=1), y


@pytest.mark.parametrize("name", CLASSIC)
def test_it_learns_which_source_is_strong(name: str) -> None:
    x, y = trials(40, 0, name=name)
    fitted = make_decoder(name).fit(x, y)
    test, wanted = trials(60, 1, name=name)
    p = fitted.predict_proba(test)
    assert p.shape == (60, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert np.mean(np.argmax(p, axis=1) == wanted) > 0.9


@pytest.mark.parametrize("name", CLASSIC)
def test_labels_without_a_meaning_are_chance(name: str) -> None:
    """Labels are drawn anew, so that nothing in the trials goes with them; four standard errors."""
    x, _ = trials(240, 3, 4, name)
    y = np.random.default_rng(0).permutation(np.arange(240) % 2)
    got = make_decoder(name).fit(x[:40], y[:40]).predict_proba(x[40:]).argmax(axis=1)
    assert 0.36 < np.mean(got == y[40:]) < 0.64


@pytest.mark.parametrize("name", CLASSIC)
@pytest.mark.parametrize("channels", [2, 3, 21])
def test_any_number_of_electrodes_will_do(name: str, channels: int) -> None:
    x, y = trials(20, 0, channels, name)
    assert np.isfinite(make_decoder(name).fit(x, y).predict_proba(x)).all()


@pytest.mark.parametrize("name", CLASSIC)
def test_one_trial_gives_what_many_give(name: str) -> None:
    """The stream asks for one window at a time, the evaluation for all at once."""
    x, y = trials(20, 0, name=name)
    fitted = make_decoder(name).fit(x, y)
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in x])
    np.testing.assert_allclose(alone, fitted.predict_proba(x), atol=1e-9)


@pytest.mark.parametrize("name", CLASSIC)
def test_it_is_stored_with_trusted_types_alone(name: str) -> None:
    x, y = trials(20, 0, name=name)
    fitted = make_decoder(name).fit(x, y)
    stored = skops.io.dumps(fitted)
    assert _foreign(stored) == []
    again = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_allclose(again.predict_proba(x), fitted.predict_proba(x), atol=1e-12)


@pytest.mark.parametrize("name", CLASSIC)
def test_three_classes(name: str) -> None:
    x, _ = trials(60, 0, name=name)
    y = np.arange(60) % 3
    x[y == 2] *= 3.0
    p = make_decoder(name).fit(x, y).predict_proba(x)
    assert p.shape == (60, 3)
    assert np.mean(p.argmax(axis=1)[y == 2] == 2) > 0.8


def test_augmented_trials_hold_only_what_was_there() -> None:
    """Copies are delayed, not wrapped around: the oldest copy begins with the first sample."""
    x = np.arange(20.0).reshape(1, 2, 10)
    got = riemann.Augmented(order=3, delay=2).fit(x).transform(x)
    assert got.shape == (1, 6, 6)
    np.testing.assert_array_equal(got[0, 0], np.arange(4.0, 10.0))
    np.testing.assert_array_equal(got[0, 4], np.arange(0.0, 6.0))


def test_covariances_of_many_trials_are_those_of_each() -> None:
    x = np.random.default_rng(0).standard_normal((6, 5, 40)) * 7 + 2
    x[1, 4] = x[1, 3]
    x[2] = 0.0
    np.testing.assert_allclose(riemann.oas(x), Covariances("oas").transform(x), atol=1e-10)
    banded = riemann.BandCovariances(2).fit(x[:, :4]).transform(x[:, :4])
    np.testing.assert_allclose(banded[:, 1], riemann.oas(x[:, 2:4]), atol=1e-12)


def test_bands_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="9 channels do not divide into 4 bands"):
        riemann.BandCovariances(4).fit(np.zeros((2, 9, 50)))


def test_windows_of_a_trial_stay_on_one_side() -> None:
    y = np.repeat(np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1]), 5)
    trial = np.repeat(np.arange(10), 5)
    tested = []
    for train, test in TrialBlocks(5).split(None, y):
        assert not set(trial[train]) & set(trial[test])
        assert set(y[train]) == {0, 1} == set(y[test])
        tested += test.tolist()
    assert sorted(tested) == list(range(50))
    late = last_part(y, 0.4)
    assert sorted(set(trial[late])) == [6, 7, 8, 9]
    groups = trial_groups(y)
    assert all(len(set(trial[groups == g])) == 1 for g in set(groups))


def test_the_choice_is_among_decoders_that_there_are() -> None:
    assert set(AUTO) <= set(BUILT_IN)
    assert set(FINE_TUNED) <= set(BUILT_IN)
    order = list(BUILT_IN)
    assert [order.index(n) for n in AUTO] == sorted(order.index(n) for n in AUTO)
    for name in BUILT_IN:
        assert find_recipe(name).view.bands_hz[0][0] >= 6.0, "slower than that are the eyes"


def test_a_factory_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("mylab")
    module.__dict__.update(best=ts_lr, wrong=LinearSVC, number=3)
    monkeypatch.setitem(sys.modules, "mylab", module)
    assert hasattr(make_decoder("mylab:best"), "predict_proba")
    with pytest.raises(BadInputError, match="LinearSVC without predict_proba"):
        make_decoder("mylab:wrong")
    with pytest.raises(BadInputError, match="'mylab:number' is a int"):
        make_decoder("mylab:number")
    with pytest.raises(BadInputError, match="'mylab:worst' can't be imported"):
        make_decoder("mylab:worst")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(
        BadInputError, match=r"no decoder 'lda'; known are auto, .*csp\+lda, ts\+lr"
    ):
        make_decoder("lda")
    assert decoder_names()[: len(BUILT_IN)] == tuple(BUILT_IN)
