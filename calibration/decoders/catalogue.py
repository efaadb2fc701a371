"""Decoders: scikit-learn estimators on trials of shape (n_trials, n_channels, n_times) in µV.

Some are built in; others come by entry point (group ``rtbci.decoders``: a callable without
arguments that gives an unfitted estimator), as ``module:factory``, or from braindecode
(:mod:`rtbci.calibration.decoders.public_models`).  What they have in common is ``fit(X, y)``,
``predict_proba(X)`` and ``classes_``.  A :class:`Recipe` says how one is made and what it sees of
the signal.

With 10 to 40 trials the Riemannian ones and CSP are hard to beat (Lotte et al. 2018,
doi:10.1088/1741-2552/aab2f2).  Networks are imported only when one is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, cast

from pyriemann.estimation import Covariances
from pyriemann.spatialfilters import CSP
from pyriemann.tangentspace import TangentSpace
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from rtbci.calibration.decoders import riemann
from rtbci.calibration.decoders.recipe import Recipe as Recipe
from rtbci.calibration.decoders.recipe import Task as Task
from rtbci.calibration.population import estimator as population
from rtbci.calibration.signal.streaming import ViewConfig
from rtbci.errors import BadInputError

BRAINDECODE = "braindecode:"
"""Begins the names of networks of the optional extra."""
AUTO_NAME = "auto"
"""Chooses among :data:`AUTO` (:mod:`rtbci.calibration.selection.auto`)."""
GROUP = "rtbci.decoders"
"""Entry points of this group are decoders."""
CSP_FILTERS = 4
"""Six cost 3 points for hands (0.53 against 0.57 on the same recordings), none for feet."""

Factory = Callable[[], Any]


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
        LogisticRegression(C=riemann.TANGENT_C, class_weight="balanced", max_iter=1000),
    )


NETWORK_VIEW = ViewConfig(bands_hz=((6.0, 40.0),), order=4)
"""What networks see: below 6 Hz the eyes give a cue on a screen away."""
FOUNDATION_VIEW = ViewConfig(bands_hz=((6.0, 45.0),), order=4)
"""As wide as the preprocessing lets through, without the slow potentials of the eyes."""


def _network(name: str) -> Any:
    from rtbci.calibration.decoders import networks

    return getattr(networks, name)()


def _foundation(name: str, weights: str = "") -> Recipe:
    """The foundation model with its shipped weights, or others by name or path."""
    mode = name.removeprefix("eegpt").removeprefix("-")

    def make(task: Task) -> Any:
        from rtbci.calibration.decoders import finetune, foundation
        from rtbci.models.seen import unseen

        chosen = unseen(weights or foundation.DEFAULT, task.without)
        if mode == "population":
            from rtbci.calibration.decoders.across import across

            return across(task.electrodes, task.classes, task.without, chosen)
        if not mode:
            return foundation.frozen_ridge(task.electrodes, chosen)
        return finetune.FineTuned(task.electrodes, cast(finetune.Mode, mode), chosen)

    def saw(subject: str) -> bool:
        from rtbci.models import seen

        return seen.saw(subject, seen.unseen(weights or seen.DEFAULT, (subject,)))

    return Recipe(make, FOUNDATION_VIEW, saw)


ACROSS = "eegpt-population"
"""The foundation model with a head that other people's trials have taught."""
FINE_TUNED = ("eegpt-heads", "eegpt-lora", "eegpt-full")
"""What takes too long to choose in the foreground, cheapest first."""
FOUNDATION = (ACROSS, "eegpt", *FINE_TUNED)

BUILT_IN: dict[str, Recipe] = {
    **population.RECIPES,
    "csp+lda": Recipe(lambda _: csp_lda()),
    "ts+lr": Recipe(lambda _: ts_lr()),
    "mdm": Recipe(lambda _: riemann.mdm()),
    "fgmdm": Recipe(lambda _: riemann.fgmdm()),
    "fbcsp+lda": Recipe(lambda _: riemann.fb_csp_lda(), riemann.FILTER_BANK_VIEW),
    "fbts+lr": Recipe(lambda _: riemann.fb_ts_lr(), riemann.FILTER_BANK_VIEW),
    "acm+ts+svm": Recipe(lambda _: riemann.acm_ts_svm()),
    "shallow": Recipe(lambda _: _network("ShallowClassifier"), NETWORK_VIEW),
    "eegnet": Recipe(lambda _: _network("EEGNetClassifier"), NETWORK_VIEW),
    **{name: _foundation(name) for name in FOUNDATION},
}
"""Simplest first, by what is learned of the user's own labels: the choice prefers the earlier."""

AUTO = (*population.RECIPES, "csp+lda", "ts+lr")
"""What the default chooses among: those that are fitted a few hundred times in seconds.  No other
one of a subject's own trials was better than these by more than its standard error (19 subjects;
21, 8 or 3 electrodes)."""

QUICK = (*AUTO, "mdm", "fgmdm", "fbcsp+lda", "fbts+lr", "acm+ts+svm")
"""What reads a few thousand windows in seconds."""

LABEL_FREE = riemann.LABEL_FREE
"""Steps whose fit does not look at the labels; a permutation need not repeat them."""


def is_quick(name: str) -> bool:
    """Whether a decoder reads a few thousand windows, and is fitted a few times, in seconds."""
    return name in QUICK


def decoder_names() -> tuple[str, ...]:
    """Names that :func:`make_decoder` knows: built in, and by entry point."""
    return (*BUILT_IN, *sorted(e.name for e in entry_points(group=GROUP)))


def find_recipe(name: str) -> Recipe:
    """Find a decoder's recipe.

    Parameters
    ----------
    name : str
        Built in, of an entry point, ``module:factory``, ``braindecode:NAME[@REPOSITORY]``, or
        ``eegpt@WEIGHTS`` (and ``eegpt-lora@WEIGHTS``, ...) for other weights of our own network.

    Raises
    ------
    BadInputError
        Where there is no such decoder or it can't be imported.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name.startswith(BRAINDECODE):
        return _public(name)
    known, _, weights = name.partition("@")
    if weights and known in FOUNDATION:
        return _foundation(known, weights)
    factory = _factory(name)
    return Recipe(lambda _: factory())


def make_decoder(name: str, task: Task | None = None) -> Any:
    """Make an unfitted decoder.

    Parameters
    ----------
    name : str
        As :func:`find_recipe` takes it.
    task : Task | None
        What for; some decoders need no more than the trials.

    Raises
    ------
    BadInputError
        As :func:`find_recipe`, and where it is no classifier with probabilities.
    """
    estimator = find_recipe(name).make(task or Task())
    lacking = [m for m in ("fit", "predict_proba") if not hasattr(estimator, m)]
    if lacking:
        raise BadInputError(
            f"decoder {name!r} gave a {type(estimator).__name__} without {lacking[0]}; it must be "
            "a scikit-learn classifier with fit and predict_proba."
        )
    return estimator


def _public(name: str) -> Recipe:
    from rtbci.calibration.decoders.public_models import (
        EEGMMIDB,
        braindecode_decoder,
        contamination,
    )

    # A subject is known by her name alone, so what has seen the data set has seen everybody.
    seen = bool(contamination(name, EEGMMIDB))
    return Recipe(
        lambda task: braindecode_decoder(name, task.electrodes), NETWORK_VIEW, lambda _: seen
    )


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
                "braindecode:NAME, and your own as module:factory."
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
