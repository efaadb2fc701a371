"""The decode column: word and bars, evidence, what the decoder reads, decisions."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
)

from rtbci.apps.gui import theme
from rtbci.apps.gui.live.panel import Session
from rtbci.apps.gui.view_models.decisions import Decision, Tally
from rtbci.apps.gui.view_models.decode import DecodeModel, Headline
from rtbci.apps.gui.view_models.reads import Reading, find_reading
from rtbci.apps.gui.widgets.card import Card, ElidedLabel
from rtbci.apps.gui.widgets.class_bars import ClassBars
from rtbci.apps.gui.widgets.evidence_chart import EvidenceChart
from rtbci.apps.gui.widgets.share_bar import ShareBar
from rtbci.apps.texts import t
from rtbci.apps.times import to_a_tenth

HERTZ = 10.0
"""Decodes a second."""
EVIDENCE_PX, LEAST_EVIDENCE_PX = 196, 76
"""Most height of the card; least of its chart."""
SHARES = (("motor", "good"), ("eyes", "fair"), ("muscle", "secondary"))
"""Parts of the bar with the colours of the palette."""


def spoken(name: str) -> str:
    """Give a class as people say it: ``right_hand`` is ``right hand``."""
    key = f"decode.class.{name}"
    return t(key) if t.has(key) else name.replace("_", " ")


def spoken_flag(flag: str, kind: str = "flag") -> str:
    """Give the word for what moved besides (``eyes``); of another reason, the reason itself."""
    key = f"decode.{kind}.{flag}"
    return t(key) if t.has(key) else flag


def needed_p(on: float, n_classes: int) -> float:
    """Probability that, held, comes to the evidence at which a class is decided."""
    return 1.0 / (1.0 + math.exp(-(on - math.log(max(1, n_classes - 1)))))


class DecodePanel:
    """The large word and the classes' probabilities.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.1

    def __init__(self, session: Session) -> None:
        self._model = session.model(DecodeModel)
        self._reading = find_reading(session.info.recording, session.info.subject)
        self.widget = Card(t("decode.decode.heading"), tip=t("decode.decode.tip"))
        self.word = ElidedLabel("", "decision")
        self.word.setAccessibleName(t("decode.decode.heading"))
        self.bars = ClassBars()
        self.note = QLabel()
        self.note.setObjectName("small")
        self.note.setWordWrap(True)
        body = self.widget.body
        body.setSpacing(theme.px(6))
        for part in (self.word, self.bars, self.note):
            body.addWidget(part)
        self.tick()

    def tick(self) -> None:
        """Show the newest decode."""
        model, headline = self._model, self._model.headline
        self.widget.set_sub(self._needs())
        word, colour = self._say(headline)
        self.word.set_text(word)
        if self.word.property("tone") != colour:
            self.word.setProperty("tone", colour)
            self.word.setStyleSheet(f"color: {colour};")
        words = {bar.name: spoken(bar.name) for bar in model.bars}
        self.bars.show_bars(model.bars, words, headline.class_name)
        self.bars.setVisible(bool(model.bars))
        note, tone = self._note(headline)
        self.note.setVisible(bool(note))
        if (note, tone) != (self.note.text(), self.note.objectName()):
            self.note.setObjectName(tone)
            self.note.setText(note)
            self.note.style().polish(self.note)

    def _needs(self) -> str:
        model = self._model
        trace = model.evidence()
        if not model.classes:
            return ""
        if trace.thresholds is None:
            return t("decode.decode.rate", hertz=HERTZ)
        p = needed_p(trace.thresholds[0], len(model.classes))
        if self._reading is not None and self._reading.dwell_s:
            dwell = self._reading.dwell_s
            return t("decode.decode.needs_for", hertz=HERTZ, p=p, dwell=dwell)
        return t("decode.decode.needs", hertz=HERTZ, p=p)

    def _say(self, headline: Headline) -> tuple[str, str]:
        colours = theme.palette()
        if headline.kind == "decided":
            word = spoken(headline.class_name)
            return word[:1].upper() + word[1:], theme.class_colour(
                headline.class_name, self._model.classes
            )
        if headline.kind == "nothing" and self._model.classes:
            return "…", colours.secondary
        if headline.kind == "stale":
            return t("decode.decode.stale", age=headline.age_s), colours.bad
        tone = colours.fair if headline.kind == "abstains" else colours.secondary
        return t(f"decode.decode.{headline.kind}"), tone

    def _note(self, headline: Headline) -> tuple[str, str]:
        model = self._model
        if headline.kind == "nothing":
            key = "waits" if model.classes else "nothing_why"
            return t(f"decode.decode.{key}"), "small"
        if headline.kind == "over":
            return t("decode.decode.over_why"), "small"
        if headline.kind == "abstains":
            return headline.reason, "fair"
        if model.flags:
            what = " and ".join(spoken_flag(f, "reason") for f in model.flags)
            return t("decode.decode.flagged", what=what), "fair"
        if not model.calibrated:
            return t("decode.decode.uncalibrated"), "fair"
        return "", "small"


class EvidencePanel:
    """Evidence on its way to the thresholds.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.1

    def __init__(self, session: Session) -> None:
        self._model = session.model(DecodeModel)
        self._seconds = self._model.settings.evidence_s
        self.widget = Card(
            t("decode.evidence.heading"),
            t("decode.evidence.sub", seconds=self._seconds),
            tip=t("decode.evidence.tip"),
        )
        self.chart = EvidenceChart()
        self.chart.setAccessibleName(t("decode.evidence.heading"))
        self.chart.setMinimumHeight(theme.px(LEAST_EVIDENCE_PX))
        self.widget.setMaximumHeight(theme.px(EVIDENCE_PX))
        self.widget.body.addWidget(self.chart)
        self._words = {name: spoken(name) for name in self._model.classes}
        self._words |= {flag: spoken_flag(flag) for flag in ("eyes", "muscle", "abstains")}
        self._words["eyes and muscle"] = spoken_flag("eyes and muscle")
        self.tick()

    def tick(self) -> None:
        """Draw the last seconds."""
        trace = self._model.evidence()
        self.chart.empty = "" if self._model.classes else t("decode.evidence.none")
        plain = len(trace.times) > 0 and not trace.accumulated
        sub = "decode.evidence.sub_p" if plain else "decode.evidence.sub"
        self.widget.set_sub(t(sub, seconds=self._seconds))
        self.chart.show_trace(trace, self._model.classes, self._words, self._seconds)


class ReadsPanel:
    """Motor cortex, eyes or muscle: by the control table of the subject's profile.

    Parameters
    ----------
    session : Session
    """

    period_s = 2.0

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shown: Reading | None = None
        self.widget = Card(t("decode.reads.heading"), tip=t("decode.reads.tip"))
        self.bar = ShareBar()
        self.bar.setAccessibleName(t("decode.reads.heading"))
        self.values = QLabel()
        self.values.setObjectName("small")
        self.warning = QLabel()
        self.warning.setObjectName("fair")
        for label in (self.values, self.warning):
            label.setWordWrap(True)
        for part in (self.bar, self.values, self.warning):
            self.widget.body.addWidget(part)
        self.calibrate = QPushButton(t("decode.reads.calibrate"))
        self.calibrate.setToolTip(t("decode.reads.calibrate_tip"))
        self.calibrate.clicked.connect(lambda: session.ask("calibration"))
        row = QHBoxLayout()
        row.addWidget(self.calibrate)
        row.addStretch(1)
        self.widget.body.addLayout(row)
        self._show(None)
        self.tick()

    def tick(self) -> None:
        """Look for the profile until it is there: the engine copies it when it begins to record."""
        if self._shown is None:
            info = self._session.info
            found = find_reading(info.recording, info.subject) if info.calibrated else None
            if found is not None:
                self._show(found)

    def _show(self, reading: Reading | None) -> None:
        self._shown = reading
        self.bar.setVisible(reading is not None)
        self.calibrate.setVisible(reading is None)
        self.warning.setVisible(reading is not None and bool(reading.caveat or reading.doubtful))
        if reading is None:
            self.widget.set_sub("")
            key = "no_profile" if self._session.info.classes else "no_decoder"
            self.values.setText(t(f"decode.reads.{key}"))
            return
        self.widget.set_sub(t("decode.reads.sub"))
        self.bar.show_shares(
            [(share, role) for share, (_, role) in zip(reading.shares(), SHARES, strict=True)]
        )
        # "motor" is said only where nothing speaks against it.
        first = "decoder" if reading.caveat or reading.doubtful else "motor"
        parts = [(first, reading.decoder), ("eyes", reading.eyes), ("muscle", reading.muscle)]
        said = [
            t("decode.reads.value", what=t(f"decode.reads.{name}"), value=value)
            for name, value in parts
            if value is not None
        ]
        self.values.setText(" · ".join(said))
        warning = reading.caveat
        if not warning and reading.doubtful:
            what = "both" if len(reading.doubtful) == 2 else reading.doubtful[0]
            words = t("decode.reads.both") if what == "both" else what
            warning = t("decode.reads.warning", what=words)
        self.warning.setText(warning)


class DecisionsPanel:
    """What was decided, newest first, and how much of it was right.

    Parameters
    ----------
    session : Session
    """

    period_s = 0.2

    def __init__(self, session: Session) -> None:
        self._model = session.model(DecodeModel)
        self._shown: list[Decision] | None = None
        self.widget = Card(t("decode.decisions.heading"), tip=t("decode.decisions.tip"))
        self.table = QTableWidget(0, 3)
        self.table.setAccessibleName(t("decode.decisions.heading"))
        self.table.horizontalHeader().hide()
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(theme.px(24))
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.setMinimumHeight(theme.px(60))
        self.none = QLabel(t("decode.decisions.none"))
        self.none.setObjectName("small")
        self.none.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.widget.body.addWidget(self.none, 1)
        self.widget.body.addWidget(self.table, 1)
        theme.follow(self.widget, self._repaint)
        self._repaint()

    def tick(self) -> None:
        """Show the list where it has changed."""
        rows = self._model.decisions()
        self.widget.set_sub(tally_words(self._model.tally, bool(rows)))
        if rows == self._shown:
            return
        self._shown = rows
        self.none.setVisible(not rows)
        self.table.setVisible(bool(rows))
        self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for j, (text, colour) in enumerate(self._cells(row)):
                item = self.table.item(i, j)
                if item is None:
                    item = QTableWidgetItem()
                    if j == 2:
                        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                        item.setTextAlignment(right)
                    self.table.setItem(i, j, item)
                if item.text() != text:
                    item.setText(text)
                item.setForeground(QColor(colour))

    def _repaint(self) -> None:
        self._shown = None
        self.table.setStyleSheet(
            f"QTableWidget::item {{ border-bottom: 1px solid {theme.palette().line};"
            f" padding-right: {theme.px(8)}px; }}"
        )
        self.tick()

    def _cells(self, row: Decision) -> list[tuple[str, str]]:
        colours = theme.palette()
        time = (to_a_tenth(row.time), colours.text)
        if row.outcome == "decided":
            what = (spoken(row.class_name), theme.class_colour(row.class_name, self._model.classes))
            if row.after_cue_s is None:
                return [time, what, ("", colours.secondary)]
            after = t("decode.decisions.after_cue", seconds=row.after_cue_s)
            mark = "✓" if row.right else "✗"
            tone = colours.secondary if row.right else colours.bad
            return [time, what, (f"{after}  {mark}", tone)]
        what = (t(f"decode.decisions.{row.outcome}"), colours.secondary)
        if row.outcome == "abstained":
            return [time, what, (spoken_flag(row.reason, "reason"), colours.secondary)]
        return [time, what, (t("decode.decisions.no_threshold"), colours.secondary)]


def tally_words(tally: Tally, any_row: bool) -> str:
    """Say how many cues were answered, and how."""
    if not tally.cued:
        return t("decode.decisions.sub_uncued") if any_row else ""
    said = [t("decode.decisions.sub_cued", right=tally.right, cued=tally.cued)]
    if tally.abstained:
        said.append(t("decode.decisions.sub_abstained", n=tally.abstained))
    if tally.undecided:
        said.append(t("decode.decisions.sub_undecided", n=tally.undecided))
    return " · ".join(said)
