"""A first score while the session goes on: ``python -m rtbci.apps.calibration_score``.

A process of its own, at low priority, so that neither the engine nor the cues wait for it.  One
line of JSON comes in on standard input, one goes out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtbci.errors import RtbciError

PERMUTATIONS = 100
"""For the first look; as many more as the level of the look needs."""


@dataclass(frozen=True)
class ScoreRequest:
    """What is to be scored.

    Attributes
    ----------
    recording, subject : str
    looked : list of int
        Numbers of trials at earlier looks.
    decoder : str
    """

    recording: str
    subject: str
    looked: list[int]
    decoder: str = "auto"


class BlockScorer:
    """Scores a recording that is still being written, block by block; one score at a time.

    Owned by one thread.

    Parameters
    ----------
    subject, decoder : str
    """

    def __init__(self, subject: str, decoder: str) -> None:
        self._subject = subject
        self._decoder = decoder
        self._process: subprocess.Popen[bytes] | None = None
        self.looked: list[int] = []

    def begin(self, recording: str) -> None:
        """Score what there is; a score that is still running is given up."""
        self.close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtbci.apps.calibration_score"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=os.name == "posix",  # Ctrl-C is for the session
        )
        request = ScoreRequest(recording, self._subject, self.looked, self._decoder)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(asdict(request)).encode())
            self._process.stdin.close()

    def poll(self) -> tuple[str, ...] | None:
        """Give the lines of a score that has just come; None where none has."""
        if self._process is None or self._process.poll() is None:
            return None
        assert self._process.stdout is not None
        said = self._process.stdout.read()
        self.close()
        try:
            answer = json.loads(said)
        except ValueError:
            return ("the first score could not be computed; the recording goes on.",)
        if answer["trials"]:
            self.looked.append(answer["trials"])
        return tuple(answer["lines"])

    def close(self) -> None:
        """Give up a score that is running."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None


def score(request: ScoreRequest) -> dict[str, Any]:
    """Score a recording as its calibration would, and keep no profile.

    Returns
    -------
    answer : dict
        ``lines`` for people; ``trials`` that were looked at, 0 where there was no score.
    """
    from rtbci.calibration.fit import calibrate

    with tempfile.TemporaryDirectory() as folder:
        try:
            report = calibrate(
                [Path(request.recording)],
                request.subject,
                decoder=request.decoder,
                profiles_dir=Path(folder),
                permutations=PERMUTATIONS,
                looked=tuple(request.looked),
            )
        except RtbciError as err:
            return {"lines": [f"no score yet: {err}"], "trials": 0}
    card = report.profile.card
    lines = [f"balanced accuracy {card.score.balanced:.2f} over {card.score.trials} trials"]
    if card.verdict is not None:
        lines.append(card.verdict.lines()[0])
    if card.score.caveat:
        lines.append(f"NB: {card.score.caveat}")
    if report.rejected:
        why = ", ".join(f"{n} ({reason})" for reason, n in report.rejected.items())
        lines.append(f"left out: {why}")
    return {"lines": lines, "trials": card.score.trials}


def main() -> int:
    """Answer one request."""
    from rtbci.apps.assemble import limit_threads

    warnings.simplefilter("ignore")
    if hasattr(os, "nice"):
        os.nice(5)
    limit_threads()
    answer = score(ScoreRequest(**json.loads(sys.stdin.read())))
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
