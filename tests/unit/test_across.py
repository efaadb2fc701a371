"""The foundation model's features with a head that other people's trials have taught."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import skops.io
from imagery import write_imagery
from networks import tiny
from typer.testing import CliRunner

from rtbci.apps.cli import app
from rtbci.calibration.decoders import across
from rtbci.calibration.decoders.across import AcrossHead, make_prior, recognised
from rtbci.calibration.decoders.catalogue import ACROSS, Task, find_recipe, make_decoder
from rtbci.calibration.decoders.grouping import WINDOWS_A_TRIAL
from rtbci.calibration.population.feature_bank import (
    FeatureBank,
    bank_path,
    find_features,
    forget_features,
    write_features,
)
from rtbci.errors import BadInputError
from rtbci.models.checkpoint import save_checkpoint
from rtbci.models.seen import base

ELECTRODES = ("FC3", "C3", "Cz", "C4", "FC4")
HANDS = ("left_hand", "right_hand")
D, TRIALS, SUBJECTS = 128, 30, 8
Array = npt.NDArray[np.float64]


def subject(
    seed: int, effect: float, shuffled: bool = False
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Windows' features by electrode, shape (n_trials, 5, E, d + 1), and classes 0 and 1.

    Everybody shares what tells the classes apart; each has her own mean.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(TRIALS) % 2
    rng.shuffle(y)
    says = np.random.default_rng(1).standard_normal((len(ELECTRODES), D + 1))
    says -= says[::-1]  # mirrored electrodes say the opposite
    trial = rng.standard_normal((TRIALS, len(ELECTRODES), D + 1))
    trial += 0.5 * effect * np.where(y, 1.0, -1.0)[:, None, None] * says
    trial += 3.0 * rng.standard_normal((1, len(ELECTRODES), D + 1))
    noise = 0.3 * rng.standard_normal((TRIALS, WINDOWS_A_TRIAL, len(ELECTRODES), D + 1))
    if shuffled:
        rng.shuffle(y)
    return trial[:, None] + noise, y


def flat(windows: Array) -> Array:
    """As StreamingFeatures gives them: states, the graph's (none of which is read), levels."""
    w = windows.reshape(-1, len(ELECTRODES), D + 1)
    graph = np.full((len(w), D), 7.0)
    return np.concatenate([w[:, :, :-1].reshape(len(w), -1), graph, w[:, :, -1]], axis=1)


def bank_of(people: dict[str, tuple[Array, npt.NDArray[np.int64]]]) -> FeatureBank:
    rows = [w[:, [0, 2, 4]].mean(axis=1) for w, _ in people.values()]
    means = np.stack([r.mean(axis=0) for r in rows])
    centred = np.concatenate([r - m for r, m in zip(rows, means, strict=True)])
    number = np.repeat(np.arange(len(people)), TRIALS)
    return FeatureBank(
        "f" * 64,
        ELECTRODES,
        tuple(people),
        HANDS,
        centred[:, :, :-1].astype(np.float16),
        centred[:, :, -1].astype(np.float16),
        means.astype(np.float32),
        number,
        number,
        np.concatenate([y for _, y in people.values()]),
        np.ones(len(number), dtype=np.bool_),
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, FeatureBank]]:
    held: dict[str, FeatureBank] = {}
    monkeypatch.setattr(across, "base", lambda _: SimpleNamespace(identity="f" * 64))
    monkeypatch.setattr(across, "find_features", lambda *_: held["bank"])
    across._prior.cache_clear()
    yield held
    across._prior.cache_clear()


def accuracy(head: AcrossHead, own: tuple[Array, npt.NDArray[np.int64]], n_own: int = 10) -> float:
    """Fitted on the first trials, scored on the others."""
    windows, y = own
    if n_own:
        head.fit(flat(windows[:n_own]), np.repeat(y[:n_own], WINDOWS_A_TRIAL))
    else:
        head.fit_unlabelled(flat(windows[:10]))
    n = max(n_own, 10)
    p = head.predict_proba(flat(windows[n:])).reshape(-1, WINDOWS_A_TRIAL, 2)
    return float(np.mean(np.log(p).sum(axis=1).argmax(axis=1) == y[n:]))


def people(effect: float, shuffled: bool = False) -> dict[str, tuple[Array, npt.NDArray[np.int64]]]:
    return {f"S{k:03d}": subject(k, effect, shuffled) for k in range(SUBJECTS)}


@pytest.mark.parametrize("n_own", [0, 10])
def test_what_others_share_decodes_a_newcomer(use: dict[str, FeatureBank], n_own: int) -> None:
    use["bank"] = bank_of(people(0.5))
    found = [
        accuracy(AcrossHead(ELECTRODES, HANDS), subject(100 + k, 0.5), n_own) for k in range(4)
    ]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("n_own", [0, 10])
def test_labels_without_a_meaning_are_chance(use: dict[str, FeatureBank], n_own: int) -> None:
    use["bank"] = bank_of(people(0.5, shuffled=True))
    found = [
        accuracy(AcrossHead(ELECTRODES, HANDS), subject(100 + k, 0.5, shuffled=True), n_own)
        for k in range(12)
    ]
    # 12 subjects of 20 trials: the mean has a standard error of 0.03, more for what they share.
    assert abs(np.mean(found) - 0.5) < 0.15


def test_who_is_scored_is_not_in_the_bank(use: dict[str, FeatureBank]) -> None:
    """The planted leak: noise with labels of its own, in the bank under two names."""
    everybody = people(0.0)
    target = everybody["S003"]
    use["bank"] = bank_of(everybody)
    # Known by her name.
    prior = make_prior(use["bank"], ELECTRODES, HANDS, ("s003",))
    assert "S003" not in {s.name for s in prior.population.subjects}
    # Or by her trials, whatever she is called.
    head = AcrossHead(ELECTRODES, HANDS)
    honest = accuracy(head, target)
    assert head.left_out_ == ["S003"]
    assert honest < 0.85
    # That the leak would have shown: with her in it, the bank knows her trials.
    windows, y = target
    leaking = make_prior(use["bank"], ELECTRODES, HANDS)
    x = (
        across.fold(windows.mean(axis=1) - windows.mean(axis=(0, 1)), leaking.order, -1)
        @ leaking.basis
    )
    known = np.mean((x @ leaking.population.weights > 0) == y)
    assert known > honest
    assert known > 0.7


def test_trials_of_others_are_not_taken_for_hers() -> None:
    bank = bank_of(people(0.5))
    for k in range(100, 104):
        windows, _ = subject(k, 0.5)
        assert recognised(bank, ELECTRODES, windows[:, [0, 2, 4]].mean(axis=1)) == set()


def test_one_window_alone_gives_what_it_gives_among_others(use: dict[str, FeatureBank]) -> None:
    use["bank"] = bank_of(people(0.5))
    windows, y = subject(200, 0.5)
    head = AcrossHead(ELECTRODES, HANDS).fit(flat(windows), np.repeat(y, WINDOWS_A_TRIAL))
    x = flat(windows)
    many = head.predict_proba(x)
    assert many[7].tobytes() == head.predict_proba(x[7:8])[0].tobytes()
    content = skops.io.dumps(head)
    again = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert np.array_equal(again.predict_proba(x), many)
    # The mirrored head answers for the other hand.
    mirrored = head.predict_proba(flat(head.centre_ + (windows - head.centre_)[:, :, ::-1]))
    np.testing.assert_allclose(mirrored, many[:, ::-1], atol=1e-9)


def test_what_the_bank_can_not_do_is_said(use: dict[str, FeatureBank]) -> None:
    bank = bank_of(people(0.5))
    with pytest.raises(BadInputError, match="two of these are wanted"):
        make_prior(bank, ELECTRODES, ("left_hand", "feet"))
    with pytest.raises(BadInputError, match="make it of more people"):
        make_prior(bank, ELECTRODES, HANDS, tuple(bank.subjects))
    use["bank"] = bank
    windows, _ = subject(1, 0.5)
    with pytest.raises(BadInputError, match="tells two classes apart"):
        AcrossHead(ELECTRODES, HANDS).fit(flat(windows), np.zeros(windows.shape[0] * 5))


def test_banks_are_found_by_weights_and_electrodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path))
    bank = bank_of(people(0.5))
    with pytest.raises(BadInputError, match="rtbci bank features DATA"):
        find_features(bank.identity, ELECTRODES)
    path = bank_path(bank.identity, bank.electrodes)
    write_features(bank, path)
    found = find_features(bank.identity, ("C3", "C4"))
    assert np.array_equal(found.states, bank.states)
    assert found.rows(("C4",)).shape == (TRIALS * SUBJECTS, 1, D + 1)
    with pytest.raises(BadInputError, match="there are no other people's features"):
        find_features(bank.identity, ("C3", "Oz"))
    assert forget_features("nobody") == []
    assert forget_features("s003") == [path]
    path.write_bytes(b"nothing")
    with pytest.raises(BadInputError, match="not a feature bank"):
        find_features(bank.identity, ELECTRODES)


def test_from_recordings_to_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command makes the bank; the decoder that stands on it reads what it reads live."""
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    for k in range(2):
        write_imagery(tmp_path / f"sub-{k}_task-mi_eeg.vhdr", 10, seed=k)
    weights = tmp_path / "tiny"
    save_checkpoint(weights, tiny())
    args = ["bank", "features", str(tmp_path), "--weights", str(weights)]
    args += ["--classes", "S  1=left_hand,S  2=right_hand"]
    made = CliRunner().invoke(app, args)
    assert made.exit_code == 0, made.output
    assert "of 2 subjects" in made.stdout
    bank = find_features(base(str(weights)).identity, ("C3", "C4"))
    task = Task(bank.electrodes, HANDS, ("sub-0",))
    name = f"{ACROSS}@{weights}"
    decoder = make_decoder(name, task)
    rng = np.random.default_rng(0)
    n = 10 * WINDOWS_A_TRIAL
    x = (10 * rng.standard_normal((n, len(bank.electrodes), 500))).astype(np.float32)
    decoder.fit(x, np.repeat(np.arange(10) % 2, WINDOWS_A_TRIAL))
    p = decoder.predict_proba(x)
    assert p.shape == (n, 2)
    assert np.array_equal(decoder.predict_proba(x[:1]), p[:1])
    assert find_recipe(name).saw is not None
    with pytest.raises(BadInputError, match="there are no other people's features"):
        make_decoder(name, replace(task, electrodes=("Oz", "O1")))
