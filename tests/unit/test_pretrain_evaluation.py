"""Forecasts scored on small synthetic recordings: honest to the past, and equal to hand counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pretraining import NAMES, RATE, TINY, brain, network_on, raw, write_files
from scipy.signal import sosfilt

from rtbci.bootstrap import bootstrap, ratio
from rtbci.errors import BadInputError
from rtbci.models.checkpoint import Checkpoint
from rtbci.models.pretrain.corpus.prepared import prepare
from rtbci.models.pretrain.corpus.recordings import RawRecording
from rtbci.models.pretrain.evaluation import methods, moments, sums
from rtbci.models.pretrain.evaluation.forecast import (
    EvaluationSettings,
    choose,
    evaluate_forecast,
)
from rtbci.models.pretrain.evaluation.horizons import LABELS, N_BINS, Horizons
from rtbci.models.pretrain.evaluation.moments import CausalSignal, Moments, behind_chain
from rtbci.models.pretrain.evaluation.phase import PhaseSums
from rtbci.models.pretrain.evaluation.regions import STATES, region_of
from rtbci.models.pretrain.evaluation.scores import SubjectScores, score_subject
from rtbci.models.pretrain.evaluation.sums import RecordingSums, SubjectSums
from rtbci.models.pretrain.training.linear import LinearFloor, fit_linear
from rtbci.models.streaming import EEGPTModel
from rtbci.skill import BINS_MS, SkillTracker
from rtbci.tick import Tick
from rtbci.types import FloatArray

SUBJECTS = ("eegmmidb-S003", "eegmmidb-S004")
CONFIG = replace(TINY, subjects=SUBJECTS)
SHORT = EvaluationSettings(warm_up_s=10.0)
ANY, BOTH = STATES.index("any"), 2


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> LinearFloor:
    folder = tmp_path_factory.mktemp("prepared")
    names = ("S003R03", "S004R03")
    return fit_linear([prepare(raw(n, i), folder, TINY) for i, n in enumerate(names)], TINY)


@pytest.fixture(scope="module")
def checkpoint(floor: LinearFloor) -> Checkpoint:
    extra = {"ridge": torch.from_numpy(floor.ridge)}
    return Checkpoint.of(network_on(floor, CONFIG), extra, "fresh")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("recordings"))


def short(seconds: float = 17.0, rate: float = RATE) -> RawRecording:
    """Make a recording that is just long enough to learn and to be scored."""
    recording = raw("S001R04", 7)
    return replace(recording, rate=rate, data=recording.data[: round(seconds * rate)])


def run(
    recording: RawRecording, checkpoint: Checkpoint | None
) -> tuple[CausalSignal, list[Moments]]:
    stretch = behind_chain(recording, CONFIG)
    made = moments.moments(recording, stretch, CONFIG, checkpoint, warm_up_s=10.0)
    return stretch, list(made)


@pytest.fixture(scope="module")
def played(checkpoint: Checkpoint) -> tuple[CausalSignal, Moments]:
    stretch, (some,) = run(raw("S001R04", 7), checkpoint)
    return stretch, some


def scored(stretch: CausalSignal, some: Moments) -> SubjectScores:
    counted = RecordingSums(stretch, CONFIG.n_horizons)
    counted.add(some)
    own = SubjectSums(stretch.electrodes)
    counted.finish(own)
    return score_subject("someone", "", [own], PhaseSums())


def overall(scores: SubjectScores, method: str) -> npt.NDArray[np.float64]:
    return np.asarray(scores.errors[method][0, ANY])


@pytest.mark.parametrize(
    ("electrode", "region"),
    [("Fp1", "frontal"), ("AFz", "frontal"), ("FC3", "central"), ("FT7", "temporal"),
     ("TP8", "temporal"), ("POz", "posterior"), ("Oz", "posterior")],
)  # fmt: skip
def test_regions(electrode: str, region: str) -> None:
    assert region_of(electrode) == region


def test_a_single_horizon_is_the_last_sample_not_beyond_it() -> None:
    horizons = Horizons.of(250.0, 250)
    ahead_ms = 4 * (horizons.points + 1)
    assert ahead_ms.tolist() == [8, 20, 48, 100, 148, 200, 300, 500, 748, 1000]
    ones = np.ones((2, 250, 3), np.float32)
    np.testing.assert_array_equal(horizons.sum(ones)[0, :, 0], horizons.counts)
    assert horizons.counts[:N_BINS].tolist() == [12, 13, 25, 75, 125]


def test_an_untrained_network_scores_as_the_blend_mixed_with_ar(
    files: Path, checkpoint: Checkpoint
) -> None:
    settings = replace(SHORT, robust=True)
    scores = evaluate_forecast([checkpoint], [files], settings)
    assert [s.subject for s in scores.subjects] == ["eegmmidb-S001"]
    assert scores.left_out == SUBJECTS
    assert scores.trusted
    assert scores.model == "fresh"
    assert scores.methods == tuple(m for m in methods.METHODS if m != "rollout")
    for column in range(N_BINS):
        model, blend, ar = (scores.error(m, column).mean for m in ("model", "blend", "ar"))
        assert model < max(blend, ar) + 0.02
        assert scores.error("mean", column).mean == pytest.approx(1.0, abs=0.3)
        assert scores.robust("mean", column).mean == pytest.approx(1.0)
    assert scores.error("ar", 0).mean < 0.8
    assert scores.error("persistence", 0).mean > scores.error("ar", 0).mean
    assert scores.error("model", 0, "central").mean == scores.error("model", 0).mean
    assert scores.error("model", 0, "frontal").subjects == 0
    assert scores.subjects[0].seconds > 15
    gain = scores.difference(0).mean
    assert scores.percent(0).mean == pytest.approx(100 * gain / scores.error("blend", 0).mean)


def test_scores_need_somebody_unseen(files: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(BadInputError, match="trained on everybody here"):
        evaluate_forecast([checkpoint], [files / "S003R04.vhdr"], SHORT)
    with pytest.raises(BadInputError, match="longer than 60 s"):
        evaluate_forecast([checkpoint], [files / "S001R04.vhdr"])
    known = replace(SHORT, all_subjects=True, every_s=5.0)
    scores = evaluate_forecast([checkpoint], [files / "S003R04.vhdr"], known)
    assert not scores.trusted


def test_each_subject_is_scored_by_a_fold_that_has_not_seen_her(
    floor: LinearFloor, checkpoint: Checkpoint
) -> None:
    other = Checkpoint.of(
        network_on(floor, replace(CONFIG, subjects=("eegmmidb-S004", "eegmmidb-S001"))), {}, "two"
    )
    folds = [checkpoint, other]
    assert choose(folds, "eegmmidb-S001") is checkpoint
    assert choose(folds, "eegmmidb-S003") is other
    assert choose(folds, "eegmmidb-S004") is None, "both have seen her"
    assert choose(folds, "eegmmidb-S004", all_subjects=True) is checkpoint
    silent = Checkpoint.of(network_on(floor, replace(CONFIG, subjects=())), {}, "silent")
    assert choose([silent], "eegmmidb-S001") is None, "weights that do not say whom they saw"


def test_folds_of_different_chains_make_no_table(
    files: Path, floor: LinearFloor, checkpoint: Checkpoint
) -> None:
    chain = replace(CONFIG.preprocess, high_pass_hz=1.0)
    other = Checkpoint.of(network_on(floor, replace(CONFIG, preprocess=chain)), {}, "other")
    with pytest.raises(BadInputError, match="fresh and other differ in preprocess"):
        evaluate_forecast([checkpoint, other], [files], SHORT)
    with pytest.raises(BadInputError, match=r"high-pass of 0\.5 Hz, so they can't be scored at 1"):
        evaluate_forecast([checkpoint], [files], replace(SHORT, high_pass_hz=1.0))


def test_without_weights_the_methods_that_need_none_are_scored(files: Path) -> None:
    settings = replace(SHORT, high_pass_hz=1.0, every_s=5.0, electrodes=("C3", "C4"), runs=1)
    scores = evaluate_forecast([], [files], settings)
    assert scores.methods == ("ar", "ar 4 s", "hold", "persistence", "mean")
    assert (len(scores.subjects), scores.high_pass_hz) == (3, 1.0)


def changed_after(recording: RawRecording, second: float) -> RawRecording:
    data = recording.data.copy()
    row = round(second * recording.rate)
    data[row:] = -3 * data[row:] + 500
    return replace(recording, data=data)


def differing(one: list[Moments], other: list[Moments], row: int) -> list[str]:
    """Name what differs between two runs among all that was foretold up to a row."""
    found = []
    (a,), (b,) = one, other
    known = a.rows <= row
    assert 2 < known.sum() < len(known)
    for name, x, y in [
        *((m, a.forecasts[m], b.forecasts[m]) for m in a.forecasts),
        *((f"spread of {m}", a.spreads[m], b.spreads[m]) for m in a.spreads),
    ]:
        if not np.array_equal(x[known], y[known], equal_nan=True):
            found.append(name)
    assert not np.array_equal(a.future[known], b.future[known]), "the change was seen at all"
    return found


@pytest.mark.parametrize("rate", [160.0, 250.0])
def test_samples_after_t_change_nothing_that_was_foretold_up_to_t(
    checkpoint: Checkpoint, rate: float
) -> None:
    recording = short(rate=rate)
    row = round(13.0 * CONFIG.rate_hz)
    later = changed_after(recording, 13.05)
    one, other = (run(r, checkpoint)[1] for r in (recording, later))
    assert differing(one, other, row) == []


def test_a_planted_leak_is_found(checkpoint: Checkpoint) -> None:
    """A statistic of the whole recording is the leak that offline studies are made of."""
    recording = short()
    found = []
    for r in (recording, changed_after(recording, 13.05)):
        honest = behind_chain(r, CONFIG)
        stretch = replace(honest, signal=honest.signal - honest.signal.mean(axis=0))
        found.append(list(moments.moments(r, stretch, CONFIG, checkpoint, warm_up_s=10.0)))
    assert {"model", "ar", "ridge", "persistence"} <= set(differing(found[0], found[1], 3250))


def test_shuffled_and_reversed_futures_can_only_be_met_by_their_mean(
    played: tuple[CausalSignal, Moments],
) -> None:
    stretch, some = played
    rng = np.random.default_rng(0)
    n = len(some.rows)
    shuffled = (np.arange(n) + rng.integers(3, n - 3, n)) % n
    true, other, turned = (
        scored(stretch, replace(some, future=future))
        for future in (some.future, some.future[shuffled], some.future[:, ::-1])
    )
    for method in ("model", "blend", "ar", "ridge", "own ridge"):
        assert overall(true, method)[0] < 0.8, "there is something to foretell"
        for wrong in (other, turned):
            share = overall(wrong, method)[:N_BINS] / overall(wrong, "mean")[:N_BINS]
            assert (share > 0.97).all(), f"{method} knows a future that never came: {share}"


def test_bins_are_those_of_the_live_table(played: tuple[CausalSignal, Moments]) -> None:
    stretch, some = played
    tracker = SkillTracker(CONFIG.rate_hz, CONFIG.n_horizons, len(NAMES), CONFIG.n_hop)
    good = np.ones(len(NAMES), np.bool_)
    for i, row in enumerate(some.rows):
        token = int(row) // CONFIG.n_hop
        tracker.expect(token, {m: f[i] for m, f in some.forecasts.items()}, good)
        tracker.observe(token + 10, stretch.signal[: row + CONFIG.n_horizons], good)
    state = tracker.state
    deviation = state.square - state.total**2 / state.count
    scores = scored(stretch, some)
    for method in some.forecasts:
        expected = (state.error[method] / deviation).mean(axis=1)
        np.testing.assert_allclose(overall(scores, method)[: len(BINS_MS)], expected, rtol=1e-4)


def test_quiet_segments_and_artefacts_add_up(checkpoint: Checkpoint) -> None:
    recording = short(25.0)
    recording.data[round(21 * RATE) : round(22 * RATE), 1] += 400.0
    stretch, (some,) = run(recording, checkpoint)
    assert some.artefact[:, 1].any()
    assert not some.artefact[:, 0].any()
    counted = RecordingSums(stretch, CONFIG.n_horizons)
    counted.add(some)
    own = SubjectSums(NAMES)
    counted.finish(own)
    for total in (own.deviation, own.count, own.error["model"], own.covered["mean"][0]):
        np.testing.assert_allclose(total[:BOTH].sum(axis=0), total[BOTH])
    assert own.error["model"][1, 0, 1] > 0 == own.error["model"][1, 0, 0]


def test_a_band_holds_what_the_filter_makes_of_past_and_forecast(
    played: tuple[CausalSignal, Moments],
) -> None:
    """The short way (filter the error from rest) is the long way: filter both, then subtract."""
    stretch, some = played
    sos = sums._band(8.0, 13.0, stretch.rate_hz)
    horizons = Horizons.of(stretch.rate_hz, CONFIG.n_horizons)
    error, truth = np.zeros((15, len(NAMES))), []
    for i, row in enumerate(some.rows):
        past = stretch.signal[:row]
        with_forecast = np.concatenate([past, some.forecasts["ar"][i]])
        off = sosfilt(sos, with_forecast, axis=0)[row:]
        came = sosfilt(sos, stretch.signal[: row + CONFIG.n_horizons], axis=0)[row:]
        error += horizons.sum((off - came) ** 2)
        truth.append(came)
    x = np.stack(truth)
    total, square = horizons.sum(x).sum(axis=0), horizons.sum(x * x).sum(axis=0)
    deviation = square - total**2 / (len(x) * horizons.counts[:, None])
    bands = scored(stretch, some).bands["ar"][list(sums.BANDS_HZ).index("mu"), 0]
    expected = (error / deviation).mean(axis=1)
    np.testing.assert_allclose(bands[:N_BINS], expected[:N_BINS], rtol=2e-3, atol=1e-5)


def noise_moments(spread: float, n: int = 400) -> tuple[CausalSignal, Moments]:
    """White noise of deviation 10, foretold as 0 with Gaussian intervals of a given width."""
    rng = np.random.default_rng(0)
    shape = (n, CONFIG.n_horizons, 2)
    signal = np.zeros((n + 500, 2), np.float32)
    stretch = CausalSignal("r", "s", ("C3", "Fz"), 250.0, signal, signal, signal + 1)
    ones = np.ones((n, 10, 2), np.float32)
    return stretch, Moments(
        rows=np.arange(n),
        forecasts={"mean": np.zeros(shape, np.float32)},
        spreads={"mean": spread * ones},
        quantiles=None,
        future=(10 * rng.standard_normal(shape)).astype(np.float32),
        usable=np.ones((n, 2), np.bool_),
        artefact=np.zeros((n, 2), np.bool_),
    )


def test_intervals_of_the_right_width_cover_what_they_promise() -> None:
    right, wide = (scored(*noise_moments(s)) for s in (10.0, 20.0))
    half, most = right.coverage["mean"][:, 0, ANY].mean(axis=1)
    assert half == pytest.approx(0.5, abs=0.02)
    assert most == pytest.approx(0.9, abs=0.02)
    assert wide.coverage["mean"][1, 0, ANY].mean() > 0.98
    # CRPS of a normal distribution forecast rightly: 1 / sqrt(pi) of its deviation.
    assert right.crps["mean"][0, ANY].mean() == pytest.approx(0.564, abs=0.015)
    assert wide.crps["mean"][0, ANY].mean() > 0.6
    assert right.pinball["mean"][0, ANY].mean() < wide.pinball["mean"][0, ANY].mean()


@pytest.fixture
def certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that states intervals: everything within 100 µV of zero, whatever the level."""

    def interval(self: EEGPTModel, level: float) -> tuple[FloatArray, FloatArray]:
        assert self.state.tick is not None, "asked after the token"
        edge = np.full((self.n_horizons, len(self.electrodes)), 100.0 * level, np.float32)
        return -edge, edge

    monkeypatch.setattr(EEGPTModel, "interval", interval, raising=False)


@pytest.mark.usefixtures("certain")
def test_a_models_own_intervals_are_scored(checkpoint: Checkpoint) -> None:
    stretch, (some,) = run(short(24.0), checkpoint)
    assert some.quantiles is not None
    assert some.quantiles.shape == (len(some.rows), 5, 2, 10, len(NAMES))
    np.testing.assert_allclose(some.quantiles[:, -1, 1], 90.0)
    inside = np.abs(some.future[:, Horizons.of(250.0, 250).points]) <= 90.0
    expected = inside.mean()
    own = scored(stretch, some).coverage["model"][1, 0, ANY].mean()
    assert own == pytest.approx(expected, abs=1e-6)


def test_what_a_spread_learned_lies_before_it() -> None:
    horizons = Horizons.of(250.0, 250)
    spread = methods.Spread(horizons, 1)
    scale = np.array([7.0], np.float32)
    np.testing.assert_allclose(spread.deviation(scale), 7.0)
    for error in (3.0, 4.0):
        spread.learn(np.full((250, 1), error, np.float32), np.zeros((250, 1), np.float32))
    np.testing.assert_allclose(spread.deviation(scale), np.sqrt((9 + 16) / 2))
    spread.learn(np.full((250, 1), np.nan, np.float32), np.zeros((250, 1), np.float32))
    np.testing.assert_allclose(spread.deviation(scale), np.sqrt((9 + 16) / 2))


def test_own_ridge_begins_as_the_pooled_one_and_learns_the_recording(
    floor: LinearFloor, played: tuple[CausalSignal, Moments]
) -> None:
    stretch, some = played
    pooled = methods.OwnRidge(0 * floor.ridge, pull=1.0)
    x = np.random.default_rng(0).standard_normal((400, len(floor.ridge))).astype(np.float32)
    tick = Tick(
        0, 0, stretch.signal[:2000], stretch.mean[1999], stretch.scale[1999], some.usable[0]
    )
    assert np.allclose(pooled.forecast(tick), tick.mean), "nothing learned: the pooled forecast"
    wanted = np.zeros((len(floor.ridge), CONFIG.n_horizons), np.float32)
    wanted[0] = 0.5
    one = replace(tick, mean=np.zeros(1, np.float32), scale=np.ones(1, np.float32))
    for row in x:
        pooled.learn(row[None], one, (row[None] @ wanted).T)
    newest = methods.OwnRidge.features(tick)
    expected = (newest @ wanted).T * tick.scale + tick.mean
    np.testing.assert_allclose(pooled.forecast(tick), expected, atol=0.05 * float(tick.scale.max()))


def test_bad_signal_does_not_count(checkpoint: Checkpoint) -> None:
    recording = short(24.0)
    recording.data[:, 2] = 0.0
    stretch, (some,) = run(recording, checkpoint)
    assert not some.usable[:, 2].any()
    assert some.usable[:, [0, 1, 3, 4]].all()
    scores = scored(stretch, some)
    assert np.isfinite(overall(scores, "model")).all()


def test_a_ratio_of_means_has_an_interval() -> None:
    rng = np.random.default_rng(0)
    below = rng.uniform(1, 2, 40)
    found = ratio(-0.1 * below + rng.normal(0, 0.02, 40), below)
    assert found.low < -0.1 < found.high
    assert found.high - found.low < 0.02
    assert ratio([1.0], [2.0]).text() == "0.500"
    assert bootstrap([1.0, 1.0]).text(signed=True, digits=1) == "+1.0 [+1.0, +1.0]"


def test_columns_are_named_in_milliseconds() -> None:
    assert LABELS[0] == "0–50"
    assert LABELS[-1] == "1000"
    assert brain(0, 2).shape == (500, len(NAMES))
