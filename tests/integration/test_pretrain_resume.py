"""``rtbci pretrain`` killed, spread over processes, and gone on with: the same training."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pretraining import TINY, write_files

from rtbci.models.pretrain.corpus.shards import prepare_corpus
from rtbci.models.pretrain.training import run
from rtbci.models.pretrain.training.settings import Execution, Settings

STEPS = 55
COMPARED = 50
ONE = Execution(device="cpu", log_every=1)

WORKER = """
import sys
from pathlib import Path
from rtbci.models.pretrain.training import run
from rtbci.models.pretrain.training.settings import Execution, Settings

corpus, out, steps = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
settings = Settings((corpus,), size="tiny", steps=steps, seed=3, batch=16)
for strategy in ("ddp", "sharded"):
    how = Execution(device="cpu", strategy=strategy, stop_after=50, log_every=1)
    run.pretrain(settings, out / strategy, how)
run.resume(out / "one", Execution(device="cpu", strategy="sharded", stop_after=50, log_every=1))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = write_files(tmp_path_factory.mktemp("recordings"))
    out = tmp_path_factory.mktemp("corpus")
    prepare_corpus([files], out, TINY)
    return out


def settings(corpus: Path) -> Settings:
    return Settings((str(corpus),), size="tiny", steps=STEPS, seed=3, batch=16)


@pytest.fixture(scope="module")
def alone(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One process that nobody stopped."""
    out = tmp_path_factory.mktemp("alone") / "run"
    return out, run.pretrain(settings(corpus), out, ONE).identity


def curve(out: Path, steps: int = STEPS) -> npt.NDArray[np.float64]:
    """Give loss, first figure and tokens at every step."""
    with (out / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == list(range(1, steps + 1))
    return np.array([[float(r["loss"]), float(r["all"]), float(r["tokens"])] for r in rows])


def test_a_killed_run_ends_with_the_very_same_weights(
    corpus: Path, tmp_path: Path, alone: tuple[Path, str]
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from rtbci.apps.entry import main; main()", "pretrain"]
    command += [
        str(corpus),
        "--out",
        str(out),
        "--size",
        "tiny",
        "--steps",
        str(STEPS),
        "--seed",
        "3",
        "--batch",
        "16",
    ]
    command += ["--device", "cpu", "--save-every", "1", "--log-every", "1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen = json.loads(line)["step"]
        if seen >= 17:
            break
    # Wherever this meets it, in the middle of a write perhaps.
    time.sleep(np.random.default_rng().uniform(0, 0.05))
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert not (out / "model.safetensors").exists()
    result = run.resume(out, ONE)
    assert result.tokens < curve(alone[0])[-1, 2], "it began again instead of going on"
    for name in ("model.safetensors", "training.safetensors"):
        assert (out / name).read_bytes() == (alone[0] / name).read_bytes()
    np.testing.assert_array_equal(curve(out)[:, :2], curve(alone[0])[:, :2])


@pytest.mark.timeout(900)
def test_two_processes_learn_what_one_does(
    corpus: Path, tmp_path: Path, alone: tuple[Path, str]
) -> None:
    """With all weights in each, with weights spread over both, and with a change on the way."""
    run.pretrain(settings(corpus), tmp_path / "one", dataclasses.replace(ONE, stop_after=45))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_WORLD_SIZE": "1",
        "GROUP_RANK": "0",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(corpus), str(tmp_path), str(STEPS)],
            env={**os.environ, **places, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [p.returncode for p in processes] == [0, 0], "\n".join(said)
    expected = curve(alone[0])[:COMPARED]
    for name in ("ddp", "sharded", "one"):
        made = curve(tmp_path / name, COMPARED)
        np.testing.assert_allclose(made[:, :2], expected[:, :2], atol=1e-4)
    np.testing.assert_array_equal(curve(tmp_path / "ddp", COMPARED)[:, 2], expected[:, 2])
    run.resume(tmp_path / "sharded", dataclasses.replace(ONE, stop_after=STEPS - 1))
    made = curve(tmp_path / "sharded", STEPS - 1)
    np.testing.assert_allclose(made[:, :2], curve(alone[0])[: STEPS - 1, :2], atol=1e-4)
