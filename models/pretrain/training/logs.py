"""What a training leaves for people to look at: a row every few steps, as CSV and for TensorBoard.

OUT/log.csv        always; a run that is resumed takes back the rows behind its checkpoint
OUT/tensorboard/   where asked for
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rtbci.errors import BadInputError
from rtbci.models.pretrain.corpus.store import writing

LOG_FILE = "log.csv"


@dataclass(frozen=True)
class Row:
    """Some steps together.

    Attributes
    ----------
    step : int
        The last of them; steps count from 1.
    loss : float
        Mean over the steps.
    terms, figures : dict of str to float
        Means of the objective's terms, and its figures: errors over those that they are compared
        with.
    learning_rate, gradient_norm : float
        Of the last step; the norm is that before clipping.
    tokens : int
        Of all steps so far in this call.
    tokens_per_s : float
        Over these steps.
    waiting : float
        Share of these steps' time that was spent waiting for data.
    seconds : float
        Since this call began training.
    """

    step: int
    loss: float
    terms: dict[str, float]
    figures: dict[str, float]
    learning_rate: float
    gradient_norm: float
    tokens: int
    tokens_per_s: float
    waiting: float
    seconds: float

    def flat(self) -> dict[str, Any]:
        """All of it in one level, rounded to what is worth reading."""
        values = {
            "step": self.step,
            "loss": self.loss,
            **{f"{k} loss": v for k, v in self.terms.items()},
            **self.figures,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens": self.tokens,
            "tokens_per_s": round(self.tokens_per_s, 1),
            "waiting": round(self.waiting, 4),
            "seconds": round(self.seconds, 2),
        }
        return {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in values.items()}


@dataclass
class Sums:
    """What rows are made of, summed over steps.

    Attributes
    ----------
    terms : list of float
        Means of the terms, a step each.
    figures : list of (float, float)
        Errors, and those that they are compared with.
    tokens, steps : int
    """

    terms: list[float] = field(default_factory=list)
    figures: list[tuple[float, float]] = field(default_factory=list)
    tokens: int = 0
    steps: int = 0

    def add(
        self, terms: Sequence[float], figures: Sequence[tuple[float, float]], tokens: int
    ) -> None:
        """Add a step."""
        self.terms = [a + b for a, b in zip(self.terms or [0.0] * len(terms), terms, strict=True)]
        before = self.figures or [(0.0, 0.0)] * len(figures)
        self.figures = [(a + c, b + d) for (a, b), (c, d) in zip(before, figures, strict=True)]
        self.tokens += tokens
        self.steps += 1

    def ratios(self) -> list[float]:
        """Figures: not a number where there is nothing to compare with."""
        return [a / b if b > 0 else math.nan for a, b in self.figures]


class Log:
    """Writes rows; only process 0 has one.

    Parameters
    ----------
    out : Path
        Folder of the run.
    first : int
        Step that the training goes on from: later rows of an earlier call are taken out.
    tensorboard : bool

    Raises
    ------
    BadInputError
        Where TensorBoard is asked for and not installed.
    DiskError
        Where a row can't be written.
    """

    def __init__(self, out: Path, first: int, *, tensorboard: bool = False) -> None:
        self._path = out / LOG_FILE
        self._board: Any = _board(out, first) if tensorboard else None
        with writing(self._path):
            kept: list[str] = []
            if first and self._path.exists():
                head, *rows = self._path.read_text(encoding="utf-8").splitlines() or [""]
                kept = [head, *(r for r in rows if _is_before(r, first))]
            partial = self._path.with_name(LOG_FILE + ".partial")
            partial.write_text("".join(f"{line}\n" for line in kept if line), encoding="utf-8")
            partial.replace(self._path)

    def write(self, row: Row) -> None:
        """Append a row."""
        values = row.flat()
        with writing(self._path), self._path.open("a", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(values), lineterminator="\n")
            if file.tell() == 0:
                table.writeheader()
            table.writerow(values)
        if self._board is not None:
            for name, value in values.items():
                if name != "step":
                    self._board.add_scalar(name.replace(" ", "_"), value, row.step)

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        if self._board is not None:
            self._board.close()


def _is_before(line: str, first: int) -> bool:
    """Whether a row belongs to the steps up to ``first``; one cut by a kill does not."""
    step, comma, _ = line.partition(",")
    return bool(comma) and step.isdecimal() and int(step) <= first


def _board(out: Path, first: int) -> Any:
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=first + 1)


def check_tensorboard() -> None:
    """Refuse where TensorBoard is not installed.

    Raises
    ------
    BadInputError
    """
    if find_spec("tensorboard") is None:
        raise BadInputError(
            "--tensorboard needs TensorBoard: pip install 'rtbci[tensorboard]'; log.csv is written "
            "without it."
        )
