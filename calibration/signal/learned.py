"""What a signal check teaches a decoder: a profile holds it, and a session begins with it.

Plain values, so that they can stand in a profile's card; how they are found is in
:mod:`rtbci.calibration.signal.learning`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtbci.calibration.signal.regression import Moments


@dataclass(frozen=True)
class Limit:
    """From where on something is flagged.

    Attributes
    ----------
    feature : str
        As :attr:`rtbci.calibration.signal.artefacts.ArtefactMonitor.features` names it.
    level : float
        Reach in µV, power in dB.
    """

    feature: str
    level: float


@dataclass(frozen=True)
class Learned:
    """What was seen of eyes and muscle while they were asked for.

    Attributes
    ----------
    recording : str
        In which the signal check was done.
    references, columns : tuple of str
        Electrodes nearest to eyes and muscle, and all electrodes.
    power : tuple of tuple of float, n_references by n_references, µV²
        Mean products of the references during blinks, looks and clenches.
    cross : tuple of tuple of float, n_references by n_columns, µV²
        Those of the references with all electrodes.
    muscle : tuple of str
        Electrodes at which the clenched jaw stands out most; they are judged together.
    limits : tuple of Limit
    """

    recording: str
    references: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    power: tuple[tuple[float, ...], ...] = ()
    cross: tuple[tuple[float, ...], ...] = ()
    muscle: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    def moments(self, references: Sequence[str], columns: Sequence[str]) -> Moments | None:
        """Where the regression of some electrodes begins; None where one of them was not seen."""
        row = {name: i for i, name in enumerate(self.references)}
        column = {name: i for i, name in enumerate(self.columns)}
        if not references or not set(references) <= set(row) or not set(columns) <= set(column):
            return None
        rows = [row[name] for name in references]
        power, cross = np.array(self.power), np.array(self.cross)
        return Moments(power[np.ix_(rows, rows)], cross[np.ix_(rows, [column[c] for c in columns])])

    def caps(self, features: Sequence[str]) -> npt.NDArray[np.float64]:
        """Limits of some features; infinite for those that were not seen."""
        known = {limit.feature: limit.level for limit in self.limits}
        return np.array([known.get(feature, np.inf) for feature in features])
