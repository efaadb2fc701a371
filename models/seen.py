"""Whom weights have been trained on, and which of several have not seen a subject.

A score on a subject that the weights know is no test.  Folds are the remedy: a folder whose
sub-folders hold weights each, trained with other subjects held out (``rtbci pretrain --fold``),
scores everybody by weights that have never seen her.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from rtbci.models.checkpoint import DEFAULT as DEFAULT
from rtbci.models.checkpoint import Checkpoint, find_checkpoint, load_checkpoint


@lru_cache(maxsize=8)
def base(name: str = DEFAULT) -> Checkpoint:
    """Weights by name, loaded once.

    Raises
    ------
    BadInputError
        As :func:`rtbci.models.checkpoint.load_checkpoint`.
    """
    return load_checkpoint(find_checkpoint(name))


def trained_on(checkpoint: Checkpoint, subject: str) -> bool:
    """Whether weights have been trained on a subject's recordings, so that her score is no test.

    True, too, for weights that do not say whom they were trained on.
    """
    subjects = checkpoint.config.subjects
    return not subjects or any(_same(subject, s) for s in subjects)


def saw(subject: str, weights: str = DEFAULT) -> bool:
    """Whether weights by name or path have been trained on a subject (:func:`trained_on`)."""
    return trained_on(base(weights), subject)


def folds(weights: str) -> tuple[str, ...]:
    """Weights of a folder of folds, in the order of their names; the name itself where it is none.

    Parameters
    ----------
    weights : str
        Name or path of weights, or a folder whose sub-folders hold weights each.
    """
    found = sorted(str(p.parent) for p in Path(weights).glob("*/model.safetensors"))
    return tuple(found) or (weights,)


def unseen(weights: str, subjects: Sequence[str]) -> str:
    """Those weights of a folder of folds that have seen none of these subjects.

    Returns
    -------
    weights : str
        As given where it is no such folder; the first of the folds where all have seen one.
    """
    among = folds(weights)
    clean = among if len(among) == 1 else [f for f in among if not any(saw(s, f) for s in subjects)]
    chosen: str = (*clean, *among)[0]
    return chosen


def _same(one: str, other: str) -> bool:
    """Whether two names mean one subject: a data set's name may stand before either's.

    Where it stands before both, it counts: many data sets have a subject 01.
    """
    bare = one.rpartition("-")[2] == other.rpartition("-")[2]
    return one == other or (bare and not ("-" in one and "-" in other))
