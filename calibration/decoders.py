"""Decoders: scikit-learn estimators on trials of shape (n_trials, n_channels, n_times) in µV.

Some are built in; others come by entry point (group ``rtbci.decoders``: a callable without
arguments that gives an unfitted estimator) or as ``module:factory``.  What they have in common
is ``fit(X, y)``, ``predict_proba(X)`` and ``classes_``.  A :class:`Recipe` says how one is made
and what it sees of the signal.

With 10 to 40 trials both are hard to beat (Lotte et al. 2018, doi:10.1088/1741-2552/aab2f2).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from pyriemann.estimation import Covariances
from pyriemann.spatialfilters import CSP
from pyriemann.tangentspace import TangentSpace
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from rtbci.calibration.streaming import ViewConfig
from rtbci.errors import BadInputError

GROUP = "rtbci.decoders"
"""Entry points of this group are decoders."""
CSP_FILTERS = 4
"""Six cost 3 points for hands (0.53 against 0.57 on the same recordings), none for feet."""
TANGENT_C = 0.01
"""Inverse strength of the logistic regression's ridge; from 0.003 to 0.03 it makes no difference
(leave one run out, EEGMMIDB: 0.56 for hands in 19 subjects, 0.78 for fists and feet in 4)."""

Factory = Callable[[], Any]


@dataclass(frozen=True)
class Task:
    """What a decoder is made for.

    Attributes
    ----------
    electrodes, classes : tuple of str
        Channels of a trial (repeated for each band of the view) and class names, in the order
        that ``fit`` gets them in.
    without : tuple of str
        Subjects that a decoder with other people's trials in it must not know: the one it is
        scored on.
    """

    electrodes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How a decoder is made, and what it sees of the signal.

    Attributes
    ----------
    make : callable
        Given the task, an unfitted estimator.
    view : ViewConfig
        Bands and window of its trials.
    """

    make: Callable[[Task], Any]
    view: ViewConfig = field(default_factory=ViewConfig)


def csp_lda() -> Pipeline:
    """Make common spatial patterns, log-variance and shrinkage LDA.

    CSP as Blankertz et al. 2008 (doi:10.1109/MSP.2008.4408441), on covariances shrunk by OAS
    (Chen et al. 2010, doi:10.1109/TSP.2010.2053029); LDA with Ledoit-Wolf shrinkage.
    """
    return make_pipeline(
        Covariances("oas"),
        CSP(nfilter=CSP_FILTERS, metric="euclid", log=True),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )


def ts_lr() -> Pipeline:
    """Make Riemannian tangent space and logistic regression.

    Covariances (OAS) are re-centred by their Riemannian mean and mapped to its tangent space
    (Barachant et al. 2012, doi:10.1109/TBME.2011.2172210).
    """
    return make_pipeline(
        Covariances("oas"),
        TangentSpace(metric="riemann"),
        LogisticRegression(C=TANGENT_C, class_weight="balanced", max_iter=1000),
    )


BUILT_IN: dict[str, Recipe] = {
    "csp+lda": Recipe(lambda _: csp_lda()),
    "ts+lr": Recipe(lambda _: ts_lr()),
}
"""Simplest first: the choice among them prefers the earlier one."""

LABEL_FREE = (Covariances, TangentSpace)
"""Steps whose fit does not look at the labels; a permutation need not repeat them."""


def decoder_names() -> tuple[str, ...]:
    """Names that :func:`make_decoder` knows: built in, and by entry point."""
    return (*BUILT_IN, *sorted(e.name for e in entry_points(group=GROUP)))


def find_recipe(name: str) -> Recipe:
    """Find a decoder's recipe.

    Parameters
    ----------
    name : str
        Built in, of an entry point, or ``module:factory``.

    Raises
    ------
    BadInputError
        Where there is no such decoder or it can't be imported.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    factory = _factory(name)
    return Recipe(lambda _: factory())


def make_decoder(name: str, task: Task = Task()) -> Any:
    """Make an unfitted decoder.

    Parameters
    ----------
    name : str
        As :func:`find_recipe` takes it.
    task : Task

    Raises
    ------
    BadInputError
        As :func:`find_recipe`, and where it is no classifier with probabilities.
    """
    estimator = find_recipe(name).make(task)
    lacking = [m for m in ("fit", "predict_proba") if not hasattr(estimator, m)]
    if lacking:
        raise BadInputError(
            f"decoder {name!r} gave a {type(estimator).__name__} without {lacking[0]}; it must be "
            "a scikit-learn classifier with fit and predict_proba."
        )
    return estimator


def _factory(name: str) -> Factory:
    found = [e for e in entry_points(group=GROUP) if e.name == name]
    try:
        if found:
            factory: Any = found[0].load()
        elif ":" in name:
            module, _, attribute = name.partition(":")
            factory = getattr(importlib.import_module(module), attribute)
        else:
            raise BadInputError(
                f"there is no decoder {name!r}; known are auto, {', '.join(decoder_names())}, "
                "and your own as module:factory."
            )
    except (ImportError, AttributeError, ValueError) as err:
        raise BadInputError(f"decoder {name!r} can't be imported: {err}.") from err
    if not callable(factory):
        raise BadInputError(
            f"decoder {name!r} is a {type(factory).__name__}; it must be a callable that gives "
            "an unfitted estimator."
        )
    made: Factory = factory
    return made
