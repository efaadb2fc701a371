"""A calibrated decoder behind a fixed map: how a profile is brought to another day.

window of today --map E--> window as on the day of the calibration -> estimator -> p
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rtbci.calibration.decoders import spd
from rtbci.calibration.online.adaptation import Referenced
from rtbci.calibration.online.idle import Idle
from rtbci.types import FloatArray

Values = npt.NDArray[np.float64]


class Recentred(Referenced):
    """A :class:`Referenced` whose trials are those of another day.

    Parameters
    ----------
    estimator : object
        Fitted on the day of the calibration.
    riemann, euclid : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
        Means of the covariances as they are now, before the map.
    maps : ndarray, same shape
        From now to the day of the calibration.
    """

    def __init__(
        self,
        estimator: Any = None,
        riemann: Values | None = None,
        euclid: Values | None = None,
        maps: Values | None = None,
        idle: Idle | None = None,
    ) -> None:
        super().__init__(estimator, riemann, euclid, idle)
        self.maps = maps

    @classmethod
    def to(cls, fitted: Referenced, running: Values) -> Self:
        """Bring a decoder to where the mean of the covariances is now.

        Parameters
        ----------
        fitted : Referenced
            As it was calibrated, or brought to another day before.
        running : ndarray, shape (n_bands, n_electrodes, n_electrodes), µV²
            Riemannian mean of the covariances now.
        """
        assert fitted.riemann is not None
        assert fitted.euclid is not None
        step = spd.transport(running, fitted.riemann)
        back = np.linalg.inv(step)
        euclid = back @ fitted.euclid @ np.swapaxes(back, -1, -2)
        maps = step
        if isinstance(fitted, Recentred):
            assert fitted.maps is not None
            maps = fitted.maps @ step
        return cls(fitted.estimator, running, euclid, maps, fitted.idle)

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Self:
        """Fit the estimator again to mapped windows; the map stays."""
        self.estimator.fit(self._mapped(X), y)
        return self

    def predict_proba(self, X: npt.NDArray[Any]) -> Values:
        """Probabilities of the estimator."""
        return np.asarray(self.estimator.predict_proba(self._mapped(X)))

    def intent(self, window: FloatArray) -> Values | None:
        """As that of the day of the calibration."""
        return super().intent(self._mapped(window[np.newaxis])[0])

    def _mapped(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        assert self.maps is not None
        n_bands, n = self.maps.shape[:2]
        rows = X.astype(np.float64).reshape(len(X), n_bands, n, -1)
        return np.asarray((self.maps @ rows).reshape(X.shape).astype(np.float32))
