"""The column at the right: how good the signal is, or what the decoder reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from rtbci.apps.gui import theme
from rtbci.apps.gui.calibration.charts import ControlTable
from rtbci.apps.gui.calibration.heads import PatternMap
from rtbci.apps.gui.view_models.verdict import choice_lines, control_rows, pattern_values
from rtbci.apps.gui.widgets.card import Card
from rtbci.apps.gui.widgets.head_map import HeadMap, Spot
from rtbci.apps.texts import t
from rtbci.apps.view import NOISY_SD_UV

MOST_LINES = 6
"""Electrodes with something wrong that are named below the head."""


class SignalSide(QWidget):
    """Electrodes on a head, and what is wrong with which."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.signal.heading"), t("calibration.signal.none"))
        self._head = HeadMap()
        self._head.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # a picture only
        self._lines = QLabel()
        self._lines.setWordWrap(True)
        self._lines.setTextFormat(Qt.TextFormat.RichText)
        self._lines.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._card.body.addWidget(self._head, 1)
        self._card.body.addWidget(self._lines)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._card)

    def show_montage(self, names: Sequence[str]) -> None:
        """Show the electrodes before there is a signal; none where the source is to name them."""
        self._show_head(dict.fromkeys(names, ""), {})
        self._lines.setText("" if names else t("calibration.signal.unnamed"))
        said = t("calibration.subject.montage_sub", n=len(names)) if names else ""
        self._card.set_sub(said or t("calibration.signal.none"))

    def _show_head(self, grades: Mapping[str, str], wrong: Mapping[str, str]) -> None:
        colours = theme.palette()
        if self._head.names != tuple(grades):
            self._head.set_names(list(grades))
        self._head.set_spots(
            {
                name: Spot(getattr(colours, grade or "secondary"), wrong.get(name, ""))
                for name, grade in grades.items()
            }
        )

    def show_status(self, status: Mapping[str, Any]) -> None:
        """Show how good each electrode is now."""
        if not status:
            return
        grades, wrong = grades_of(status)
        self._show_head(grades, wrong)
        good = sum(grade == "good" for grade in grades.values())
        self._card.set_sub(t("calibration.signal.sub", good=good, all=len(grades)))
        colours = theme.palette()
        shown = [
            f'<span style="color:{getattr(colours, grades[name])}">●</span> {text}'
            for name, text in list(wrong.items())[:MOST_LINES]
        ]
        if len(wrong) > MOST_LINES:
            shown.append(f"… +{len(wrong) - MOST_LINES}")
        text = "<br>".join(shown)
        if text != self._lines.text():
            self._lines.setText(text)


def grades_of(status: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Grade each electrode by a status: ``good``, ``fair`` (noisy) or ``bad`` (left out).

    Returns
    -------
    grades, wrong : dict of str to str
        By electrode; and what is wrong with those that are not good.
    """
    names = status.get("electrodes", [])
    spread = dict(zip(names, status.get("sd_uv", [0.0] * len(names)), strict=True))
    left_out = status.get("left_out", {})
    grades, wrong = {}, {}
    for name in names:
        if name in left_out:
            grades[name] = "bad"
            wrong[name] = t("calibration.signal.left_out", electrode=name, why=left_out[name])
        elif spread[name] > NOISY_SD_UV:
            grades[name] = "fair"
            wrong[name] = t("calibration.signal.noisy", electrode=name, sd=spread[name])
        else:
            grades[name] = "good"
    return grades, wrong


class EvidenceSide(QWidget):
    """The pattern on the head, the control table, the choice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pattern_card = Card(t("calibration.pattern.heading"))
        self._pattern = PatternMap()
        self._pattern_card.body.addWidget(self._pattern, 1)
        self._keys = QHBoxLayout()
        self._pattern_card.body.addLayout(self._keys)
        self._legend = [QLabel(), QLabel()]
        for label in self._legend:
            label.setObjectName("small")
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._keys.addWidget(label)
        self._reads_card = Card(t("calibration.reads.heading"), t("calibration.reads.sub"))
        self._reads = ControlTable()
        self._reads_card.body.addWidget(self._reads)
        self._reads_card.body.addStretch(1)
        self._choice_card = Card(t("calibration.choice.heading"), t("calibration.choice.sub"))
        self._chosen, self._left = QLabel(), QLabel()
        self._left.setObjectName("secondary")
        for label in (self._chosen, self._left):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            self._choice_card.body.addWidget(label)
        self._outer = QVBoxLayout(self)
        self._outer.setContentsMargins(0, 0, 0, 0)
        self._outer.addWidget(self._pattern_card, 5)
        self._outer.addWidget(self._reads_card, 4)
        self._outer.addWidget(self._choice_card)
        theme.look.changed.connect(self._style)
        self._style()

    def show_report(self, report: Mapping[str, Any]) -> None:
        """Show what a fit has given."""
        sub, values = pattern_values(report)
        self._pattern_card.set_sub(sub)
        others = tuple(n for n in report.get("montage", ()) if n not in values)
        self._pattern.show_pattern(values, others)
        classes = report["classes"]
        for label, name in zip(self._legend, classes[:2], strict=False):
            words = t("calibration.pattern.more", label=name.replace("_", " "))
            colour = theme.class_colour(name)
            label.setText(f'<span style="color:{colour}">●</span> {words}')
        rows = control_rows(report)
        self._reads.show_rows(rows, 1.0 / len(classes))
        chosen, left = choice_lines(report)
        self._choice_card.set_sub(
            t("calibration.choice.sub") if len(report.get("candidates", ())) > 1 else ""
        )
        self._chosen.setText(chosen)
        self._left.setText(left)
        self._left.setVisible(bool(left))

    def _style(self) -> None:
        self._outer.setSpacing(theme.px(theme.GAP_PX))
