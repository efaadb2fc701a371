"""Fits, scores and checks while a session goes on: ``python -m rtbci.apps.calibration_score``.

    window, terminal --one line: what to do--> process of its own, at low priority
            <--lines: {"progress": 0.4, "what": "permuting labels"} ... {"answer": {...}}--

A process of its own, so that neither the engine nor the cues wait for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from rtbci.config import SessionConfig, from_dict
from rtbci.errors import RtbciError

PERMUTATIONS = 100
"""For the first look; as many more as the level of the look needs."""


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes
    ----------
    do : str
        ``score``: fit and score; ``check``: judge the signal check; ``recheck``: judge
        the subject's own profile by a recording of today; ``tune``: set thresholds by a
        block without control; ``save``: make the session's profile the subject's own, and let
        fine-tuning go on behind it.
    subject : str
    recordings : list of str
        In the order in which they were made.
    looked : list of int
        Numbers of trials at earlier looks.
    decoder : str
    profiles : str | None
        Folder of the session's own profiles; for a score, kept nowhere where None.
    permutations : int
        For the p-value of a score, at most.
    session : dict
        Settings of the sessions to come, as plain values; the usual ones where empty.
    """

    do: str
    subject: str
    recordings: list[str]
    looked: list[int]
    decoder: str = "auto"
    profiles: str | None = None
    permutations: int = PERMUTATIONS
    session: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    share : float
        0 to 1, of what it is at.
    what : str
        What it is at.
    """

    share: float
    what: str


class Worker:
    """Does one job at a time in a process of its own.

    Owned by one thread; a thread of its own only waits for lines.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.progress: Progress | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._process is not None

    def begin(self, job: Job) -> None:
        """Do a job; one that is still running is given up."""
        self.close()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtbci.apps.calibration_score"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=os.name == "posix",  # Ctrl-C is for the session
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(asdict(job)).encode())
            process.stdin.close()
        self._process, self._lines = process, queue.SimpleQueue()
        reader = threading.Thread(target=_follow, args=(process.stdout, self._lines), daemon=True)
        reader.start()

    def poll(self) -> dict[str, Any] | None:
        """Give the answer to a job that has just been done; None where none has.

        An answer holds ``error``, a sentence, where the job could not be done.
        """
        while self._process is not None:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return None
            if line is None:
                self.close()
                return {"error": "it could not be computed; the recording goes on."}
            if "answer" in line:
                self.close()
                return dict(line["answer"])
            self.progress = Progress(float(line["progress"]), str(line["what"]))
        return None

    def close(self) -> None:
        """Give up a job that is running."""
        self.progress = None
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process = None


def _follow(pipe: IO[bytes], lines: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    """Read a process's lines to their end; None says that there are no more."""
    with pipe:
        for line in pipe:
            with contextlib.suppress(ValueError):  # the last one of a killed process may be torn
                lines.put(json.loads(line))
    lines.put(None)


class BlockScorer:
    """Scores a recording that is still being written, block by block; one score at a time.

    Owned by one thread.

    Parameters
    ----------
    subject, decoder : str
    config : SessionConfig | None
        Of the session.
    """

    def __init__(self, subject: str, decoder: str, config: SessionConfig | None = None) -> None:
        self._subject = subject
        self._decoder = decoder
        self._session = asdict(config or SessionConfig())
        self._worker = Worker()
        self.looked: list[int] = []

    def begin(self, recording: str) -> None:
        """Score what there is; a score that is still running is given up."""
        self._worker.begin(
            Job(
                "score",
                self._subject,
                [recording],
                self.looked,
                self._decoder,
                session=self._session,
            )
        )

    def poll(self) -> tuple[str, ...] | None:
        """Give the lines of a score that has just come; None where none has."""
        answer = self._worker.poll()
        if answer is None:
            return None
        if "error" in answer:
            return (f"no score yet: {answer['error']}",)
        self.looked.append(answer["report"]["score"]["trials"])
        return tuple(answer["lines"])

    def close(self) -> None:
        """Give up a score that is running."""
        self._worker.close()


def do(job: Job) -> dict[str, Any]:
    """Do a job.

    Returns
    -------
    answer : dict
        ``lines`` for people, and what the job gives: ``report`` (of a score, as ``--json`` gives
        it), ``check``, ``learned`` (of eyes and muscle), ``online`` (the thresholds), ``profile``
        (a folder), ``fine_tuning`` (a sentence); or ``error``.
    """
    try:
        if job.do == "check":
            return _check(job)
        if job.do == "recheck":
            return _recheck(job)
        if job.do == "tune":
            return _tune(job)
        if job.do == "save":
            return _save(job)
        if job.profiles is not None:
            return _score(job, Path(job.profiles))
        with tempfile.TemporaryDirectory() as folder:
            return _score(job, Path(folder))
    except RtbciError as err:
        return {"error": str(err)}
    except Exception as err:  # noqa: BLE001 - a process's boundary: a defect is said, too
        why = f"{type(err).__name__}: {err}"
        return {"error": f"it failed in a way it should not ({why}); the recording goes on."}


def _score(job: Job, profiles: Path) -> dict[str, Any]:
    """Score recordings as their calibration would."""
    from rtbci.calibration.fit import calibrate

    report = calibrate(
        [Path(r) for r in job.recordings],
        job.subject,
        decoder=job.decoder,
        config=from_dict(SessionConfig, job.session),
        profiles_dir=profiles,
        permutations=job.permutations,
        looked=tuple(job.looked),
        progress=_say,
    )
    card = report.profile.card
    lines = [f"balanced accuracy {card.score.balanced:.2f} over {card.score.trials} trials"]
    if card.verdict is not None:
        lines.append(card.verdict.lines()[0])
    if card.score.caveat:
        lines.append(f"NB: {card.score.caveat}")
    if report.rejected:
        why = ", ".join(f"{n} ({reason})" for reason, n in report.rejected.items())
        lines.append(f"left out: {why}")
    return {"lines": lines, "report": report.to_dict()}


def _check(job: Job) -> dict[str, Any]:
    from rtbci.calibration.signal.check_data import read_check
    from rtbci.calibration.signal.learning import learn
    from rtbci.calibration.signal_check import judge_signal_check

    recording = Path(job.recordings[-1])
    data = read_check(recording)
    found, learned = judge_signal_check(data, recording.name), learn(data, recording.name)
    limits = None if learned is None else asdict(replace(learned, power=(), cross=()))
    return {"lines": found.lines(), "check": found.to_dict(), "learned": limits}


def _recheck(job: Job) -> dict[str, Any]:
    from rtbci.calibration.recheck import recheck

    config = from_dict(SessionConfig, job.session)
    found = recheck(job.subject, Path(job.recordings[-1]), config=config)
    told = found.to_dict()
    return {"lines": found.lines(), "recheck": told, "check": told["check"]}


def _tune(job: Job) -> dict[str, Any]:
    from rtbci.calibration.protocol.tuning import tune_thresholds

    assert job.profiles is not None
    tuned = tune_thresholds(job.subject, Path(job.recordings[-1]), profiles_dir=Path(job.profiles))
    choice = tuned.choice
    return {
        "lines": tuned.lines(),
        "online": asdict(choice.config),
        "reached": choice.reached,
        "false": choice.false.words(),
        "wanted_per_min": tuned.wanted_per_min,
    }


def _save(job: Job) -> dict[str, Any]:
    from rtbci.apps.fine_tuning import go_on
    from rtbci.calibration import offer
    from rtbci.calibration.profile import load_estimator, load_profile, save_profile

    assert job.profiles is not None
    made = load_profile(job.subject, Path(job.profiles))
    saved = save_profile(made.card, load_estimator(made))
    tuning = offer.Job(
        tuple(job.recordings), job.decoder, session=from_dict(SessionConfig, job.session)
    )
    said = go_on(saved, tuning, None, shown=True)
    return {
        "lines": [f"profile: {saved.folder}", *filter(None, [said])],
        "profile": str(saved.folder),
        "fine_tuning": said,
    }


def _say(what: str, share: float) -> None:
    sys.stdout.write(json.dumps({"progress": round(share, 3), "what": what}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Answer one request."""
    from rtbci.apps.assemble import limit_threads

    warnings.simplefilter("ignore")
    if hasattr(os, "nice"):
        os.nice(5)
    limit_threads()
    answer = do(Job(**json.loads(sys.stdin.read())))
    sys.stdout.write(json.dumps({"answer": answer}) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
