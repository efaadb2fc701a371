"""Fine-tuning in the background: begun at the end of a calibration, asked for later.

    rtbci calibrate --writes state, says go--> python -m rtbci.apps.fine_tuning FOLDER RUN
                                                 lowest priority, one thread, outlives its starter
    rtbci subjects show|take|forget <--state, offer-- in the profile's folder

One run to a profile: who begins another, or forgets the subject, stops the one before.  A run is
known by its name on its command line, so that another process with its number is never taken for
it, nor stopped.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from rtbci.calibration.card import Candidate
from rtbci.calibration.decoders.catalogue import AUTO_NAME
from rtbci.calibration.fine_tuning import fine_tune, why_not
from rtbci.calibration.offer import (
    FineTuning,
    Job,
    Outcome,
    clear,
    find_offer,
    read_state,
    save_offer,
    write_state,
)
from rtbci.calibration.profile import Profile, open_profile
from rtbci.calibration.report import CalibrationReport
from rtbci.errors import RtbciError
from rtbci.sources.moabb_source import expand

MODULE = "rtbci.apps.fine_tuning"
STOP_S = 10.0
"""A process that has not gone so long after it was asked is ended at once."""
LOWEST = 19
VARIABLE = "RTBCI_FINE_TUNE"
"""Environment variable that, at 0, keeps fine-tuning from beginning by itself."""

_children: list[subprocess.Popen[bytes]] = []
"""Runs of this process, kept so that their ends can be noticed."""


def go_on(profile: Profile, job: Job, asked: bool | None, *, shown: bool) -> str:
    """Begin fine-tuning behind a new profile where it is wanted; what runs for it is stopped.

    Parameters
    ----------
    profile : Profile
        Just made.
    job : Job
    asked : bool | None
        What the user said; None: where ``auto`` has chosen and somebody sees what is said.
    shown : bool
        Whether a window or a terminal shows it to somebody.

    Returns
    -------
    said : str
        A sentence; empty where there is nothing to say.
    """
    by_itself = job.decoder == AUTO_NAME and shown and os.environ.get(VARIABLE) != "0"
    if asked or (asked is None and by_itself and not why_not(profile.card)):
        return begin(profile, job)
    stop(profile.folder)
    clear(profile.folder)
    return ""


def begin(profile: Profile, job: Job) -> str:
    """Begin in the background what makes sense behind a profile; gives a sentence on it.

    A run for an earlier profile of the subject is stopped, and its offer is gone.
    """
    stop(profile.folder)
    clear(profile.folder)
    why = why_not(profile.card)
    if why:
        return f"no fine-tuning: {why}"
    # NB: whole paths, whatever folder the process works in.
    paths = tuple(str(p.resolve()) for p in expand(job.recordings))
    job = replace(job, recordings=paths)
    run = secrets.token_hex(8)
    process = _start(profile.folder, run)
    begun = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds")
    write_state(profile.folder, FineTuning(profile.card.created, job, run, process.pid, begun))
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:
        process.stdin.write(b"go\n")
    return (
        "fine-tuning of the foundation model goes on in the background; what comes of it says: "
        f"rtbci subjects show {profile.subject}"
    )


def stop(folder: Path) -> bool:
    """Stop the run behind the profile in a folder; says whether there was one."""
    process = _process(read_state(folder))
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_S)
        except psutil.TimeoutExpired:
            process.kill()
            # Of so low a priority it may take its time to go, but it does nothing any more.
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(STOP_S)
    _children[:] = [child for child in _children if child.poll() is None]
    return True


def running(state: FineTuning | None) -> bool:
    """Whether a run's process is there."""
    return _process(state) is not None


def lines(profile: Profile) -> list[str]:
    """What to say of the fine-tuning behind a profile; nothing where there was none."""
    state, subject = read_state(profile.folder), profile.subject
    if state is None:
        return []
    scores = [f"  {c.name:<26}{c.balanced:.2f}" for c in state.scores]
    if state.profile != profile.card.created:
        return [f"fine-tuning: it stands on {subject}'s profile of {state.profile}, an older one"]
    if state.outcome == Outcome.NONE:
        if not running(state):
            again = f"rtbci calibrate --from RECORDING... --subject {subject} --fine-tune"
            return [f"fine-tuning: it was interrupted; begin again with: {again}", *scores]
        at = f"tries {state.trying}" if state.trying else "reads the recordings"
        return [f"fine-tuning: running since {state.begun}, {at}", *scores]
    said = [f"fine-tuning: {state.outcome}: {state.said}", *scores]
    offer = find_offer(profile)
    if offer is None:
        return said
    return [*said, *CalibrationReport(offer, {}, ()).lines(), f"take it: {take_command(subject)}"]


def take_command(subject: str) -> str:
    """What a user types to take an offer."""
    return f"rtbci subjects take {subject}"


def _start(folder: Path, run: str) -> subprocess.Popen[bytes]:
    """Start a process that waits for its state to be written."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.IDLE_PRIORITY_CLASS
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-P", "-m", MODULE, str(folder.resolve()), run],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Neither the terminal's Ctrl-C nor its end is meant for it.
        start_new_session=os.name == "posix",
        creationflags=flags,
    )
    _give_way(process.pid)
    _children.append(process)
    return process


def _process(state: FineTuning | None) -> psutil.Process | None:
    """Process of a run; None where it has gone."""
    if state is None:
        return None
    try:
        found = psutil.Process(state.pid)
        return found if state.run in found.cmdline() else None  # one that is over has none
    except psutil.Error:
        return None


def _give_way(pid: int) -> None:
    """Give a process the lowest priority, so that sessions and the desktop go first."""
    if os.name != "posix":
        return  # it was started so
    with contextlib.suppress(psutil.Error):
        psutil.Process(pid).nice(LOWEST)
    # Linux weighs the process groups of sessions before the processes in them.
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(LOWEST), encoding="ascii")


def run_job(folder: Path, state: FineTuning) -> FineTuning:
    """Do what a state asks for; gives the state that came of it, as it was written."""

    def tell(trying: str, scores: Sequence[Candidate]) -> None:
        nonlocal state
        state = replace(state, trying=trying, scores=tuple(scores))
        write_state(folder, state)

    try:
        profile = open_profile(folder)
        found = fine_tune(profile, state.job, tell)
        if found.card is not None and found.estimator is not None:
            save_offer(profile, found.card, found.estimator)
        outcome, said = found.outcome, found.said
    except RtbciError as err:
        outcome, said = Outcome.FAILED, str(err)
    except Exception as err:  # noqa: BLE001 - a process's boundary: a defect is said, too
        why = f"{type(err).__name__}: {err}"
        outcome, said = Outcome.FAILED, f"it failed in a way it should not ({why})"
    state = replace(state, trying="", outcome=outcome, said=said)
    write_state(folder, state)
    return state


def main() -> None:
    """Run the job whose state lies in a profile's folder."""
    folder, run = Path(sys.argv[1]), sys.argv[2]
    if not sys.stdin.buffer.readline().endswith(b"\n"):
        return  # who began it has gone before it had written what is asked
    state = read_state(folder)
    if state is None or state.run != run:
        return
    from rtbci.apps.assemble import limit_threads

    limit_threads()
    run_job(folder, state)


if __name__ == "__main__":
    main()
