"""A head seen from above with a value interpolated between its electrodes.

Directions are laid flat by the azimuthal equidistant projection: distance from the middle is the
angle from the vertex, and the equator of the head (Fpz, T7, T8, Oz) lies just inside the circle.
Values between electrodes are a thin-plate spline (Bookstein 1989).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPainterPath
from PySide6.QtWidgets import QWidget
from scipy.interpolate import RBFInterpolator

from rtbci.apps.gui import theme
from rtbci.apps.gui.widgets.chart import LABEL_PX, Painted, pen
from rtbci.apps.gui.widgets.colours import STEPS, image, scale
from rtbci.montage import directions

Values = npt.NDArray[np.float64]

GRID = 48
"""Points of the image along a side."""
EQUATOR = 0.9
"""Radius of the electrodes on the equator, in radii of the circle."""
RIM = 1.0
"""Half a side of the image, likewise."""
LEAST = 3
"""Electrodes that a map needs."""


def flat_places(electrodes: Sequence[str]) -> Values:
    """Places on the flat head, :data:`EQUATOR` its equator, x to the right ear, y to the nose.

    Returns
    -------
    places : ndarray, shape (n_electrodes, 2)
        NaN for a name that has no place.
    """
    xyz = directions(electrodes)
    flat = np.linalg.norm(xyz[:, :2], axis=1)
    radius = EQUATOR * np.arctan2(flat, xyz[:, 2]) / (np.pi / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale_by = np.where(flat > 1e-9, radius / flat, 0.0)
    return np.asarray(xyz[:, :2] * scale_by[:, None])


class ScalpField:
    """Interpolates between one set of electrodes; what depends on places alone is kept.

    Parameters
    ----------
    electrodes : sequence of str
        Those without a place are passed over.
    """

    def __init__(self, electrodes: Sequence[str]) -> None:
        places = flat_places(electrodes)
        self.known = np.isfinite(places).all(axis=1)
        self.places = places[self.known]
        axis = np.linspace(-RIM, RIM, GRID)
        x, y = np.meshgrid(axis, axis[::-1])
        self.inside = np.hypot(x, y) <= RIM
        self._grid = np.stack([x.ravel(), y.ravel()], axis=1)
        self._weights: Values | None = None
        if self.enough:
            # Linear in the values: one matrix does for every frame.
            unit = np.eye(len(self.places))
            spline = RBFInterpolator(self.places, unit, kernel="thin_plate_spline", smoothing=1e-4)
            self._weights = np.asarray(spline(self._grid))

    @property
    def enough(self) -> bool:
        """Whether there are electrodes enough, and not all on one line."""
        if len(self.places) < LEAST:
            return False
        centred = self.places - self.places.mean(axis=0)
        return bool(np.linalg.svd(centred, compute_uv=False)[-1] > 1e-3)

    def field(self, values: Values) -> Values:
        """Values on the grid, shape (GRID, GRID), the nose's row first."""
        assert self._weights is not None
        return np.asarray((self._weights @ values[self.known]).reshape(GRID, GRID))


class ScalpMap(Painted):
    """A head with one value an electrode, as deviations from their mean, and its name below."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._image: QImage | None = None
        self._places: Values = np.zeros((0, 2))
        self._span = 0.0
        self.setMinimumSize(theme.px(64), theme.px(70))

    def sizeHint(self) -> QSize:  # noqa: N802
        """Give a small head."""
        return QSize(theme.px(104), theme.px(122))

    def show_values(self, field: ScalpField, values: Values, span: float) -> None:
        """Show values, shape (n_electrodes,); ``span`` from their mean has the strongest colour."""
        deviation = values - np.nanmean(values[field.known])
        grid = field.field(np.nan_to_num(deviation))
        index = np.clip((grid / span + 1.0) / 2.0 * (STEPS - 1), 0, STEPS - 1).astype(np.int64)
        rgb = scale("diverging", theme.palette().name)[index]
        alpha = np.where(field.inside, 255, 0).astype(np.uint8)
        self._image = image(np.concatenate([rgb, alpha[..., None]], axis=2))
        self._places, self._span = field.places, span
        self.setAccessibleDescription(f"±{span:.0f} dB")
        self.update()

    def paint(self, painter: QPainter) -> None:
        """Paint the field, clipped to the head, then nose, outline and electrodes."""
        metrics = painter.fontMetrics()
        below = metrics.height() + theme.px(3)
        side = min(self.width(), self.height() - below - theme.px(6)) - theme.px(4)
        centre = QPointF(self.width() / 2, theme.px(8) + side / 2)
        radius = side / 2
        head = QRectF(centre.x() - radius, centre.y() - radius, side, side)
        self._nose(painter, centre, radius)
        if self._image is not None:
            shape = QPainterPath()
            shape.addEllipse(head)
            painter.save()
            painter.setClipPath(shape)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            reach = RIM * radius
            painter.drawImage(
                QRectF(centre.x() - reach, centre.y() - reach, 2 * reach, 2 * reach), self._image
            )
            painter.restore()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen(theme.palette().secondary, 1.4))
        painter.drawEllipse(head)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.palette().text))
        dot = theme.px(1.5)
        for x, y in self._places:
            painter.drawEllipse(QPointF(centre.x() + radius * x, centre.y() - radius * y), dot, dot)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QColor(theme.palette().text))
        painter.setFont(theme.font(LABEL_PX, QFont.Weight.DemiBold))
        text = QRectF(0, head.bottom() + theme.px(3), self.width(), metrics.height())
        painter.drawText(text, int(Qt.AlignmentFlag.AlignCenter), self.name)

    def _nose(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        top = centre.y() - radius
        path = QPainterPath(QPointF(centre.x() - 0.12 * radius, top + 0.02 * radius))
        path.lineTo(centre.x(), top - theme.px(6))
        path.lineTo(centre.x() + 0.12 * radius, top + 0.02 * radius)
        painter.setPen(pen(theme.palette().secondary, 1.4))
        painter.drawPath(path)
