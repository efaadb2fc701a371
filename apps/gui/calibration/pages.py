"""What stands below the words of a step: its plan, what comes, what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.calibration.charts import LearningCurve, TrialStrip
from rtbci.apps.gui.calibration.live_traces import LiveTraces
from rtbci.apps.gui.calibration.pictures import ClassShares, TrialPicture
from rtbci.apps.gui.calibration.store import BlockDone, Plan
from rtbci.apps.gui.view_models.feedback import shares
from rtbci.apps.gui.view_models.results import findings_of
from rtbci.apps.gui.view_models.trials import Fate, count_words, trial_marks
from rtbci.apps.gui.view_models.verdict import (
    CurveLine,
    curve_line,
    decoder_words,
    interval,
    reads,
)
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.texts import t
from rtbci.calibration.protocol.config import ProtocolConfig, protocol_names
from rtbci.live.view import View

SET_UP = ("source", "montage", "impedance")
"""Rows of the plan that have a page of their own."""
BUILT_IN = tuple(name for name in protocol_names() if name.startswith("graz"))


class Page(QWidget):
    """Cards in a column."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.outer = QVBoxLayout(self)
        self.outer.setContentsMargins(0, 0, 0, 0)
        theme.look.changed.connect(self._gaps)
        self._gaps()

    def _gaps(self) -> None:
        self.outer.setSpacing(theme.px(theme.GAP_PX))


class Rows(QWidget):
    """Names and values, line by line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._shown: list[tuple[str, str]] = []

    def show_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show names with their values."""
        if list(rows) == self._shown:
            return
        self._shown = list(rows)
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for i, (name, value) in enumerate(rows):
            left, right = QLabel(name), QLabel(value)
            left.setObjectName("name")
            left.setAlignment(Qt.AlignmentFlag.AlignTop)
            right.setWordWrap(True)
            right.setTextFormat(Qt.TextFormat.PlainText)
            self._grid.addWidget(left, i, 0)
            self._grid.addWidget(right, i, 1)
        self._grid.setHorizontalSpacing(theme.px(24))
        self._grid.setVerticalSpacing(theme.px(9))


class SubjectPage(Page):
    """Who, which source, and what is planned; the plan can be changed until it is connected."""

    changed = Signal(object)
    """The new :class:`Plan`."""
    asked = Signal(str)
    """``source``, ``montage`` or ``impedance`` is to be set up."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.subject.heading"), t("calibration.subject.sub"))
        self._plan: Plan | None = None
        self._subject, self._source = QLabel(), ElidedLabel("")
        self._montage, self._contacts = ElidedLabel(""), ElidedLabel("")
        self.buttons: dict[str, QPushButton] = {}
        self.protocol, self.blocks, self.trials = QComboBox(), QSpinBox(), QSpinBox()
        self.tones = QCheckBox(t("calibration.subject.tones"))
        self.blocks.setRange(1, 12)
        self.trials.setRange(1, 60)
        self._form = QGridLayout()
        rows: tuple[tuple[str, QWidget], ...] = (
            ("subject", self._subject),
            ("source", self._source),
            ("montage", self._montage),
            ("impedance", self._contacts),
            ("protocol", self.protocol),
            ("blocks", self.blocks),
            ("trials", self.trials),
        )
        for i, (name, widget) in enumerate(rows):
            label = QLabel(t(f"calibration.subject.{name}"))
            label.setObjectName("name")
            label.setBuddy(widget)
            widget.setAccessibleName(label.text())
            widget.setFixedWidth(theme.px(260))
            self._form.addWidget(label, i, 0)
            self._form.addWidget(widget, i, 1)
            if name in SET_UP:
                button = QPushButton(t(f"calibration.subject.{name}_change"))
                button.setToolTip(t(f"calibration.subject.{name}_tip"))
                button.clicked.connect(lambda _=False, what=name: self.asked.emit(what))
                self._form.addWidget(button, i, 2)
                self.buttons[name] = button
        self._form.addWidget(self.tones, len(rows), 1)
        self._form.setColumnStretch(3, 1)
        self._form.setHorizontalSpacing(theme.px(24))
        self._form.setVerticalSpacing(theme.px(10))
        self._card.body.addLayout(self._form)
        self._card.body.addStretch(1)
        self.outer.addWidget(self._card)
        self.protocol.currentIndexChanged.connect(self._tell)
        self.blocks.valueChanged.connect(self._tell)
        self.trials.valueChanged.connect(self._tell)
        self.tones.toggled.connect(self._tell)

    def show_plan(self, plan: Plan, source: str, titles: Mapping[str, str], contacts: str) -> None:
        """Show a plan; ``titles`` are those of the protocols, ``contacts`` what was measured."""
        self._contacts.set_text(contacts)
        self.buttons["impedance"].setEnabled(plan.source.measures_impedance)
        if plan == self._plan:
            return
        self._plan = None  # what is set here is no change of the user's
        names = list(dict.fromkeys((*BUILT_IN, plan.protocol)))
        self.protocol.clear()
        for name in names:
            self.protocol.addItem(titles.get(name, name), name)
        self.protocol.setCurrentIndex(names.index(plan.protocol))
        self._subject.setText(plan.subject)
        self._source.set_text(source)
        self._montage.set_text(plan.montage or t("calibration.subject.montage_own"))
        self.blocks.setValue(plan.blocks)
        self.trials.setValue(plan.trials)
        self.tones.setChecked(plan.tones)
        self._plan = plan

    def _tell(self) -> None:
        if self._plan is None:
            return
        self._plan = replace(
            self._plan,
            protocol=str(self.protocol.currentData()),
            blocks=self.blocks.value(),
            trials=self.trials.value(),
            tones=self.tones.isChecked(),
        )
        self.changed.emit(self._plan)


class CheckPage(Page):
    """The steps of the signal check, or what it has found."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.check.heading"))
        self._rows = Rows()
        self._found = QLabel()
        self._found.setWordWrap(True)
        self._found.setTextFormat(Qt.TextFormat.RichText)
        self._card.body.addWidget(self._rows)
        self._card.body.addWidget(self._found)
        self._card.body.addStretch(1)
        self._live = Card(t("calibration.check.live"), t("calibration.signal.worth"))
        self._traces = LiveTraces()
        self._live.body.addWidget(self._traces, 1)
        self.outer.addWidget(self._card)
        self.outer.addWidget(self._live, 1)

    def show_signal(self, view: View | None, left_out: Mapping[str, str]) -> None:
        """Show the newest seconds of the signal."""
        self._traces.show_signal(view, frozenset(left_out))

    def show_check(
        self, config: ProtocolConfig, answer: Mapping[str, Any] | None, *, judged: bool
    ) -> None:
        """Show what comes, or the findings where it has been ``judged``."""
        findings = findings_of(answer)
        shown = judged and bool(findings)
        self._rows.setVisible(not shown)
        self._found.setVisible(shown)
        self._card.set_heading(
            t("calibration.check.found" if shown else "calibration.check.heading")
        )
        self._card.set_sub(t("calibration.check.found_sub") if shown else "")
        if shown:
            colours = theme.palette()
            lines = [
                f'<p style="margin:6px 0"><span style="color:{getattr(colours, level)}">●</span>'
                f"&nbsp;&nbsp;{sentence}</p>"
                for level, sentence in findings
            ]
            self._found.setText("".join(lines))
            return
        self._rows.show_rows(
            [
                (
                    t("calibration.check.seconds", seconds=step.seconds),
                    t(f"calibration.check.{step.label}")
                    if t.has(f"calibration.check.{step.label}")
                    else step.say,
                )
                for step in config.steps
            ]
        )


class PracticePage(Page):
    """What one trial looks like."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.practice.heading"))
        self._picture = TrialPicture()
        self._card.body.addWidget(self._picture, 1)
        self.outer.addWidget(self._card)

    def show_trial(self, config: ProtocolConfig) -> None:
        """Show a protocol's trial."""
        self._picture.show_trial(config)


class EvidencePage(Page):
    """The learning curve, and the last block's trials."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve_card = Card(t("calibration.curve.heading"), t("calibration.curve.sub"))
        self.curve = LearningCurve()
        self._curve_card.body.addWidget(self.curve, 1)
        self._trials_card = Card("")
        self.strip = TrialStrip()
        self._pale = QLabel()
        self._pale.setObjectName("small")
        self._line = QHBoxLayout()
        self._line.addWidget(self.strip, 1)
        self._line.addWidget(self._pale)
        self._trials_card.body.addLayout(self._line)
        self.outer.addWidget(self._curve_card, 1)
        self.outer.addWidget(self._trials_card)

    def show_evidence(self, block: BlockDone | None, report: Mapping[str, Any] | None) -> None:
        """Show what there is; a block that is not judged yet has no wrong trials."""
        curve = CurveLine() if report is None else curve_line(report)
        chance = 0.5 if report is None else 1.0 / len(report["classes"])
        self.curve.show_curve(curve, chance)
        self._trials_card.setVisible(block is not None)
        if block is None:
            return
        marks = trial_marks(block, report)
        fates = {mark.fate for mark in marks}
        self._trials_card.set_heading(t("calibration.trials.heading", number=block.number))
        self._trials_card.set_sub(count_words(marks))
        self.strip.show_trials(marks)
        told = [
            t(f"calibration.trials.{name}")
            for fate, name in (
                (Fate.WRONG, "pale"),
                (Fate.REPEATED, "ring"),
                (Fate.LEFT_OUT, "dash"),
            )
            if fate in fates
        ]
        self._pale.setText("\n".join(told))


class FeedbackPage(Page):
    """What is decoded now, as bars."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.feedback.heading"), t("calibration.feedback.sub"))
        self._bars = ClassShares()
        self._card.body.addWidget(self._bars, 1)
        self.outer.addWidget(self._card)

    def show_decode(
        self, decode: Mapping[str, Any] | None, classes: tuple[str, ...], hits: int, trials: int
    ) -> None:
        """Show a decode, and how many trials were right so far."""
        self._bars.show_shares(shares(decode, classes))
        words = t("calibration.feedback.trial", n=trials, hits=hits) if trials else ""
        self._card.set_sub(words or t("calibration.feedback.sub"))


class SavePage(Page):
    """What becomes the subject's profile."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card = Card(t("calibration.save.heading"))
        self._rows = Rows()
        self._card.body.addWidget(self._rows)
        self._card.body.addStretch(1)
        self.outer.addWidget(self._card)

    def show_profile(
        self,
        subject: str,
        report: Mapping[str, Any] | None,
        tuned: Mapping[str, Any] | None,
        recordings: Sequence[str],
    ) -> None:
        """Show the newest fit, and what the block without control has set."""
        self._card.set_sub(t("calibration.save.sub", subject=subject))
        rows: list[tuple[str, str]] = []
        if report is not None:
            score = report["score"]
            low, high = interval(report)
            said = t(
                "calibration.save.score_value",
                balanced=score["balanced"],
                low=low,
                high=high,
                trials=score["trials"],
                label=score["label"],
            )
            rows += [
                (t("calibration.save.decoder"), decoder_words(str(report["decoder"]))),
                (t("calibration.save.score"), said),
                (t("calibration.save.reads"), reads(report)),
            ]
        lines = (tuned or {}).get("lines", ())
        rows.append(
            (t("calibration.save.thresholds"), " ".join(lines) or t("calibration.save.default"))
        )
        rows.append((t("calibration.save.recordings"), "\n".join(recordings)))
        self._rows.show_rows([row for row in rows if row[1]])
