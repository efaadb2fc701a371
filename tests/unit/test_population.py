"""Decoders that stand on a bank: mirrored, cut, stored, honest."""

from __future__ import annotations

from pathlib import Path

import banks
import numpy as np
import numpy.typing as npt
import pytest
import skops.io

from rtbci.calibration.decoders.recipe import Task
from rtbci.calibration.population import store
from rtbci.calibration.population.bank import Bank, read_bank, shipped_bank, write_bank
from rtbci.calibration.population.estimator import RECIPES, PopulationDecoder, shared_electrodes
from rtbci.calibration.population.model import Learned, Population, fit_population, ridge, see
from rtbci.errors import BadInputError
from rtbci.montage import mirror_electrode

HANDS = ("left_hand", "right_hand")
Numbers = npt.NDArray[np.int64]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small bank in place of the shipped one."""
    path = tmp_path / "small.safetensors"
    write_bank(banks.small_bank(), path)
    monkeypatch.setattr(store, "shipped_bank", lambda: path)
    monkeypatch.setenv("RTBCI_HOME", str(tmp_path / "home"))
    return path


def newcomer(n: int = 60, seed: int = 7) -> tuple[banks.Array, Numbers]:
    """Somebody whom the bank does not know."""
    y = np.arange(n, dtype=np.int64) % 2
    return banks.trials(y, seed, effect=0.7), y


def decoder(
    name: str, electrodes: tuple[str, ...] = banks.ELECTRODES, without: tuple[str, ...] = ()
) -> PopulationDecoder:
    made: PopulationDecoder = RECIPES[name].make(Task(electrodes, HANDS, without))
    return made


def populate(bank: Bank, without: tuple[str, ...] = ()) -> Population:
    """All of a small bank."""
    seen = see([bank], banks.ELECTRODES, HANDS, average=True)
    return fit_population(seen, banks.ELECTRODES, HANDS, without)


def cut(x: banks.Array, electrodes: tuple[str, ...]) -> banks.Array:
    """Trials of fewer electrodes."""
    rows = x.reshape(len(x), 2, len(banks.ELECTRODES), -1)
    kept = rows[:, :, [banks.ELECTRODES.index(e) for e in electrodes]]
    return kept.reshape(len(x), -1, x.shape[2])


@pytest.mark.usefixtures("small")
def test_without_any_label_it_decodes_a_newcomer() -> None:
    x, y = newcomer()
    fitted = decoder("zero-shot").fit_unlabelled(x[:20])
    p = fitted.predict_proba(x[20:])
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert np.mean(np.argmax(p, axis=1) == y[20:]) > 0.85
    np.testing.assert_array_equal(fitted.classes_, [0, 1])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", RECIPES)
def test_with_labels_it_decodes_a_newcomer(name: str) -> None:
    x, y = newcomer()
    fitted = decoder(name).fit(x[:20], y[:20])
    assert np.mean(fitted.predict(x[20:]) == y[20:]) > 0.85


@pytest.mark.usefixtures("small")
def test_own_trials_overrule_a_population_that_is_wrong_about_one() -> None:
    """Her classes are the other way round: with enough trials she is believed."""
    x, y = newcomer(240)
    turned = 1 - y
    wrong = decoder("zero-shot").fit_unlabelled(x[:200]).predict(x[200:])
    right = decoder("population").fit(x[:200], turned[:200]).predict(x[200:])
    assert np.mean(wrong == turned[200:]) < 0.2
    assert np.mean(right == turned[200:]) > 0.5


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", RECIPES)
def test_a_mirrored_head_gives_the_mirrored_answer(name: str) -> None:
    x, y = newcomer()
    mirrored = cut(x, tuple(mirror_electrode(e) for e in banks.ELECTRODES))
    one = decoder(name).fit(x[:20], y[:20]).decision_function(x[20:])
    other = decoder(name).fit(mirrored[:20], 1 - y[:20]).decision_function(mirrored[20:])
    np.testing.assert_allclose(one, -other, atol=1e-6)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("electrodes", [("C3", "Cz", "C4"), ("C4", "C3"), ("FC3", "C3", "C4")])
def test_few_electrodes_in_any_order_and_without_a_mirror(electrodes: tuple[str, ...]) -> None:
    x, y = newcomer()
    few = cut(x, electrodes)
    fitted = decoder("population", electrodes).fit(few[:20], y[:20])
    assert np.mean(fitted.predict(few[20:]) == y[20:]) > 0.8


@pytest.mark.usefixtures("small")
def test_electrodes_that_the_bank_lacks_are_left_aside() -> None:
    x, y = newcomer()
    rows = x.reshape(len(x), 2, 7, -1)
    noise = np.random.default_rng(3).standard_normal((len(x), 2, 1, x.shape[2]))
    more = np.concatenate([rows, 50 * noise], axis=2).reshape(len(x), 16, -1)
    plain = decoder("population").fit(x[:20], y[:20])
    fitted = decoder("population", (*banks.ELECTRODES, "Iz")).fit(more[:20], y[:20])
    np.testing.assert_allclose(fitted.predict_proba(more), plain.predict_proba(x), atol=1e-5)


@pytest.mark.usefixtures("small")
def test_one_window_alone_gives_what_it_gives_among_others() -> None:
    x, y = newcomer()
    fitted = decoder("population").fit(x[:20], y[:20])
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in x[20:]])
    np.testing.assert_allclose(alone, fitted.predict_proba(x[20:]), atol=1e-9)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", RECIPES)
def test_it_is_stored_without_pickle(name: str) -> None:
    x, y = newcomer()
    fitted = decoder(name).fit(x[:20], y[:20])
    content = skops.io.dumps(fitted)
    types = skops.io.get_untrusted_types(data=content)
    assert all(t.startswith("rtbci.") for t in types)
    again = skops.io.loads(content, trusted=types)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_who_is_scored_is_not_in_the_bank(small: Path) -> None:
    """By name, in any case of letters, the population is fitted without her."""
    x, y = newcomer()
    others = populate(read_bank(small), ("B1",))
    assert [s.name for s in others.subjects] == ["B0", "B2", "B3", "B4", "B5"]
    fitted = decoder("zero-shot", without=("b1",)).fit(x, y)
    np.testing.assert_allclose(fitted.weights_, others.learned(0).gain * others.weights)
    everyone = decoder("zero-shot").fit(x, y)
    assert np.abs(everyone.weights_ - fitted.weights_).max() > 1e-6


@pytest.mark.usefixtures("small")
def test_who_brings_a_recording_of_the_bank_under_another_name_is_left_out_too() -> None:
    y = np.arange(30, dtype=np.int64) % 2
    hers = banks.trials(y, 102, effect=0.5)
    fitted = decoder("zero-shot").fit(hers[:10], y[:10])
    assert fitted.left_out_ == ["B2"]
    known = decoder("zero-shot", without=("B2",)).fit(hers[:10], y[:10])
    np.testing.assert_array_equal(fitted.weights_, known.weights_)


def test_what_own_trials_are_worth_is_learned_from_those_of_the_bank() -> None:
    """Alike subjects: the population is right about each, and her own trials add noise."""
    alike = populate(banks.small_bank())
    assert alike.learned(0).pull == np.inf
    assert alike.learned(0).sharpness > 5
    noise = populate(banks.small_bank(effect=1.0))
    assert noise.learned(10).gain * noise.learned(10).sharpness < 1
    few = populate(banks.small_bank(3))
    assert few.learned(10) == Learned()


def test_labels_that_mean_nothing_give_chance(small: Path) -> None:
    """A bank whose subjects differ in nothing, and own labels shuffled: no better than a coin."""
    write_bank(banks.small_bank(effect=1.0), small)
    scores = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = newcomer(60, 1000 + seed)
        y = rng.permutation(y)
        fitted = decoder("population").fit(x[:30], y[:30])
        scores.append(np.mean(fitted.predict(x[30:]) == y[30:]))
    # 12 x 30 coins: the standard error is 0.026.
    assert abs(np.mean(scores) - 0.5) < 0.1


@pytest.mark.usefixtures("small")
def test_what_the_bank_can_not_do_is_said() -> None:
    x, y = newcomer()
    with pytest.raises(BadInputError, match="does not know both tongue and feet"):
        RECIPES["population"].make(Task(banks.ELECTRODES, ("tongue", "feet")))
    with pytest.raises(BadInputError, match="two classes apart, and there are 3"):
        RECIPES["population"].make(Task(banks.ELECTRODES, (*HANDS, "rest")))
    with pytest.raises(BadInputError, match="shares no electrode with this montage"):
        RECIPES["population"].make(Task(("O1", "O2"), HANDS))
    with pytest.raises(BadInputError, match="the trials are of 1"):
        decoder("population").fit(x, np.zeros_like(y))
    with pytest.raises(BadInputError, match="7 electrodes in 2 bands, and got 60 trials of 7"):
        decoder("population").fit(x[:, :7], y)
    with pytest.raises(BadInputError, match="no subject with both left_hand and right_hand"):
        decoder("population", without=("B0", "B1", "B2", "B3", "B4", "B5")).fit(x, y)


@pytest.mark.usefixtures("small")
def test_a_subject_of_ones_own_joins_the_population() -> None:
    x, y = newcomer()
    before = decoder("zero-shot").fit(x, y)
    path = store.bank_file("P07")
    path.parent.mkdir(parents=True)
    write_bank(banks.small_bank(7).select(np.repeat(np.arange(7), 30) == 6), path)
    after = decoder("zero-shot").fit(x, y)
    assert np.abs(after.weights_ - before.weights_).max() > 1e-6
    store.forget("P07")
    np.testing.assert_array_equal(decoder("zero-shot").fit(x, y).weights_, before.weights_)


@pytest.mark.parametrize(
    ("classes", "electrodes"),
    [
        (HANDS, ("C3", "Cz", "C4")),
        (HANDS, ("Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2")),
        (("both_hands", "both_feet"), ("C3", "Cz", "C4", "Pz")),
    ],
)
def test_the_shipped_bank_serves_small_montages(
    classes: tuple[str, ...], electrodes: tuple[str, ...]
) -> None:
    """Each subject by the weights of all others, executed and imagined: better than a coin."""
    assert shared_electrodes(Task(electrodes, classes)) == electrodes
    seen = see([read_bank(shipped_bank())], electrodes, classes, average=len(electrodes) > 3)
    correct = [
        np.mean((one.x @ ridge([s for s in seen if s is not one]) > 0) == (one.y > 0))
        for one in seen
    ]
    assert len(seen) == (18 if classes == HANDS else 3)
    assert np.mean(correct) > 0.55
