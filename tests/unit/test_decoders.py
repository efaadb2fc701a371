"""Decoders are scikit-learn estimators, found by name."""

from __future__ import annotations

import sys
import types

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.svm import LinearSVC

from rtbci.calibration.decoders import BUILT_IN, decoder_names, make_decoder, ts_lr
from rtbci.errors import BadInputError

Array = npt.NDArray[np.float64]


def trials(n: int, seed: int, channels: int = 8) -> tuple[Array, npt.NDArray[np.int64]]:
    """Two classes that differ in the power of one source."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((channels, channels))
    y = np.arange(n, dtype=np.int64) % 2
    sources = rng.standard_normal((n, channels, 250))
    sources[y == 1, 0] *= 2.0
    return 5 * mixing @ sources, y


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_learns_which_source_is_strong(name: str) -> None:
    x, y = trials(40, 0)
    fitted = make_decoder(name).fit(x, y)
    test, wanted = trials(60, 1)
    p = fitted.predict_proba(test)
    assert p.shape == (60, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert np.mean(np.argmax(p, axis=1) == wanted) > 0.9


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("channels", [2, 3])
def test_few_electrodes_are_enough(name: str, channels: int) -> None:
    x, y = trials(20, 0, channels)
    assert np.isfinite(make_decoder(name).fit(x, y).predict_proba(x)).all()


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_trial_gives_what_many_give(name: str) -> None:
    """The stream asks for one window at a time, the evaluation for all at once."""
    x, y = trials(20, 0)
    fitted = make_decoder(name).fit(x, y)
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in x])
    np.testing.assert_allclose(alone, fitted.predict_proba(x), atol=1e-9)


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
    with pytest.raises(BadInputError, match=r"no decoder 'lda'; known are auto, csp\+lda, ts\+lr"):
        make_decoder("lda")
    assert decoder_names()[:2] == ("csp+lda", "ts+lr")
