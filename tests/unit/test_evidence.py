"""Evidence: leaky log-odds, hysteresis, dwell, refractory time, rest, flags, and thresholds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import poisson

from rtbci.calibration.online.config import OnlineConfig, check_online
from rtbci.calibration.online.courses import Course, lateness, steps, times_to_decision
from rtbci.calibration.online.evidence import (
    Evidence,
    fit_temperature,
    log_odds,
    meant_odds,
    tempered,
)
from rtbci.calibration.online.threshold import (
    LEAKS_S,
    Block,
    FalseActivations,
    activations,
    threshold_for,
)
from rtbci.errors import BadInputError
from rtbci.types import Decode

HOP = 0.1
HANDS = ("left_hand", "right_hand")
CONFIG = OnlineConfig()


def feed(
    e: Evidence, p: tuple[float, ...], tokens: int, *, valid: bool = True, flagged: bool = False
) -> list[str | None]:
    said = []
    for _ in range(tokens):
        e.step(np.array(p), valid=valid, flagged=flagged)
        said.append(e.decision)
    return said


def test_log_odds_are_nothing_where_all_classes_are_alike() -> None:
    for n in (2, 3, 4):
        np.testing.assert_allclose(log_odds(np.full(n, 1 / n)), 0.0, atol=1e-12)
    np.testing.assert_allclose(log_odds(np.array([0.7, 0.3])), [0.8473, -0.8473], atol=1e-4)


def test_evidence_is_the_log_odds_of_a_steady_p() -> None:
    e = Evidence(HANDS, HOP, CONFIG)
    feed(e, (0.8, 0.2), 200)
    np.testing.assert_allclose(e.levels, log_odds(np.array([0.8, 0.2])), atol=1e-6)


def test_a_decision_needs_its_dwell_and_ends_below_the_lower_threshold() -> None:
    config = replace(CONFIG, leak_s=1e-3, on=1.0, off=0.5, dwell_s=0.3, refractory_s=0.5)
    e = Evidence(HANDS, HOP, config)
    above, between, below = (0.8, 0.2), (0.68, 0.32), (0.6, 0.4)  # 1.39, 0.75, 0.41
    assert feed(e, above, 2) == [None, None]
    assert feed(e, between, 1) == [None]  # the dwell begins anew
    assert feed(e, above, 3) == [None, None, "left_hand"]
    assert feed(e, between, 50) == ["left_hand"] * 50
    assert feed(e, below, 1) == [None]
    # Half a second after it ended; the dwell may pass meanwhile.
    assert feed(e, (0.2, 0.8), 5) == [None] * 4 + ["right_hand"]


def test_rest_is_decided_but_is_no_activation_and_asks_for_no_pause() -> None:
    config = replace(CONFIG, leak_s=1e-3, on=1.0, off=0.5, dwell_s=0.1, refractory_s=1.0)
    e = Evidence((*HANDS, "rest"), HOP, config)
    assert not e.step(np.array([0.05, 0.05, 0.9]), valid=True, flagged=False)
    assert e.decision == "rest"
    assert e.step(np.array([0.9, 0.05, 0.05]), valid=True, flagged=False)
    assert e.decision == "left_hand"


def test_a_flagged_token_adds_nothing_and_evidence_leaks_when_flags_last() -> None:
    e = Evidence(HANDS, HOP, replace(CONFIG, flag_hold_s=1.0))
    feed(e, (0.7, 0.3), 5)
    before = e.levels[0]
    assert before > 0
    feed(e, (0.99, 0.01), 10, flagged=True)
    assert e.levels[0] == before
    feed(e, (0.99, 0.01), 3, flagged=True)
    np.testing.assert_allclose(e.levels[0], before * np.exp(-0.3))
    quiet = Evidence(HANDS, HOP, CONFIG)
    assert set(feed(quiet, (0.999, 0.001), 100, flagged=True)) == {None}


def test_a_blink_does_not_cut_a_decision_in_two() -> None:
    """Flags let the evidence leak, so that every blink ended what a steady decoder had decided.

    It was then decided anew: eyes made activations by the flags that keep them out.
    """
    e, begins = Evidence(HANDS, HOP, CONFIG), 0
    for token in range(300):
        blinking = token > 50 and token % 30 < 8
        begins += e.step(np.array([0.9, 0.1]), valid=True, flagged=blinking)
    assert begins == 1
    assert e.decision == "left_hand"


def test_what_long_flags_have_ended_must_fall_by_itself_first() -> None:
    e = Evidence(HANDS, HOP, CONFIG)
    assert feed(e, (0.9, 0.1), 30)[-1] == "left_hand"
    assert feed(e, (0.9, 0.1), 60, flagged=True)[-1] is None
    assert set(feed(e, (0.9, 0.1), 100)) == {None}
    feed(e, (0.5, 0.5), 30)
    assert feed(e, (0.9, 0.1), 30)[-1] == "left_hand"
    assert feed(e, (0.1, 0.9), 60)[-1] == "right_hand"


def test_nothing_new_is_decided_right_after_a_flag() -> None:
    config = replace(CONFIG, leak_s=1e-3, on=1.0, off=0.5, dwell_s=0.1, flag_settle_s=1.0)
    e = Evidence(HANDS, HOP, config)
    feed(e, (0.9, 0.1), 3, flagged=True)
    assert feed(e, (0.9, 0.1), 10) == [None] * 9 + ["left_hand"]


def test_nothing_is_decided_while_the_decoder_abstains() -> None:
    e = Evidence(HANDS, HOP, CONFIG)
    assert feed(e, (0.95, 0.05), 30)[-1] == "left_hand"
    assert feed(e, (np.nan, np.nan), 1, valid=False) == [None]
    assert np.isfinite(e.levels).all()
    e.reset()
    assert e.levels == (0.0, 0.0)


def test_one_token_alone_decides_nothing() -> None:
    """A single certain token is limited; only what lasts gets over the threshold."""
    e = Evidence(HANDS, HOP, CONFIG)
    feed(e, (1.0, 0.0), 1)
    assert e.levels[0] <= CONFIG.limit * HOP / CONFIG.leak_s
    assert set(feed(e, (0.5, 0.5), 20)) == {None}


@given(
    p=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60),
    on=st.floats(0.2, 2.0),
    off=st.floats(0.0, 1.0),
)
def test_whatever_comes_the_rules_hold(p: list[float], on: float, off: float) -> None:
    config = replace(CONFIG, on=on, off=min(on, off), leak_s=0.3)
    e, before = Evidence(HANDS, HOP, config), None
    for value in p:
        begins = e.step(np.array([value, 1 - value]), valid=True, flagged=False)
        level = e.levels[HANDS.index(e.decision)] if e.decision else None
        if e.decision is not None:
            assert level is not None
            assert level >= (on if before is None else config.off)
            assert before in (None, e.decision)  # never from one class right into another
        assert begins == (e.decision is not None and before is None)
        before = e.decision


def test_the_temperature_of_an_overconfident_decoder_is_found() -> None:
    rng = np.random.default_rng(0)
    truth = 0.8 * rng.standard_normal((4000, 2))
    y = (rng.random(4000) < softmax(truth, axis=1)[:, 1]).astype(np.intp)
    for factor in (0.25, 1.0, 3.0):
        assert fit_temperature(factor * truth, y) == pytest.approx(factor, rel=0.15)
    # Twenty trials that were all decoded right are no certainty.
    sure = np.log([[0.7, 0.3]] * 110 + [[0.3, 0.7]] * 110)
    t = fit_temperature(sure, np.repeat([0, 1], 110))
    assert tempered(np.array([0.7, 0.3]), t)[0] == pytest.approx(12 / 13, abs=0.01)
    np.testing.assert_allclose(
        tempered(softmax(3.0 * truth, axis=1), 3.0), softmax(truth, axis=1), atol=1e-6
    )
    p = np.array([0.4, 0.6])
    assert tempered(p, 1.0) is p


def no_control(minutes: float, seed: int = 0, sd: float = 1.5) -> Block:
    """A decoder that wanders about chance, as a slow random walk around 0."""
    rng = np.random.default_rng(seed)
    n = round(60 * minutes / HOP)
    odds = np.zeros(n)
    for i in range(1, n):
        odds[i] = 0.95 * odds[i - 1] + sd * np.sqrt(1 - 0.95**2) * rng.standard_normal()
    begins = np.zeros(n, dtype=np.bool_)
    begins[0] = True
    return Block(np.stack([odds, -odds], axis=1), np.zeros(n, dtype=np.bool_), begins)


@pytest.mark.parametrize("wanted", [0.0, 1.0, 4.0])
def test_the_threshold_keeps_the_wanted_rate(wanted: float) -> None:
    block = no_control(3.0)
    choice = threshold_for(block, HANDS, HOP, CONFIG, wanted)
    assert choice.reached
    assert choice.false.rate <= wanted
    assert choice.false.count == activations(block, HANDS, HOP, choice.config)
    lower = replace(choice.config, on=0.7 * choice.config.on, off=0.7 * choice.config.off)
    assert activations(block, HANDS, HOP, lower) > choice.false.count
    assert choice.config.off < choice.config.on
    # It holds on another block as far as a Poisson count lets one say.
    other = activations(no_control(10.0, seed=1), HANDS, HOP, choice.config)
    assert other / 10.0 < choice.false.bound + 2.0


def test_flagged_tokens_make_no_activations() -> None:
    block = no_control(3.0)
    config = replace(CONFIG, on=0.5, off=0.2)
    assert activations(block, HANDS, HOP, config) > 0
    flagged = replace(block, flagged=np.ones(len(block.odds), dtype=np.bool_))
    assert activations(flagged, HANDS, HOP, config) == 0


def test_the_bound_is_that_of_a_poisson_count() -> None:
    assert FalseActivations(0, 3.0).bound == pytest.approx(-np.log(0.05) / 3.0)
    found = FalseActivations(4, 2.0)
    assert poisson.cdf(4, found.bound * 2.0) == pytest.approx(0.05)
    assert (found.rate, "2.00 false activations a minute (4 in 2.0 min" in found.words()) == (
        2,
        True,
    )


def test_a_block_begins_anew_where_tokens_do_not_follow() -> None:
    times = [1.0, 1.1, 1.2, 5.0, 5.1]
    decodes = [
        Decode(i, i, t, HANDS, np.array([0.5, 0.5]), None, "", "d", True)
        for i, t in enumerate(times)
    ]
    assert Block.of(decodes, HOP, CONFIG).begins.tolist() == [True, False, False, True, False]


def test_what_each_token_added_is_told_from_the_evidence() -> None:
    rng = np.random.default_rng(3)
    e, decodes, added = Evidence(HANDS, HOP, CONFIG), [], []
    for token in range(60):
        first, intent = rng.uniform(0.2, 0.8), rng.standard_normal(2)
        p = np.array([first, 1 - first])
        e.step(p, valid=True, flagged=False, intent=intent)
        added.append(meant_odds(log_odds(p), intent))
        decodes.append(
            Decode(token, token, HOP * token, HANDS, p, None, "", "d", True, evidence=e.levels)
        )
    block = Block.of(decodes[20:], HOP, CONFIG)
    assert block.valid.tolist() == [False] + [True] * 39  # the one before the first is not known
    np.testing.assert_allclose(block.odds[1:], added[21:], atol=1e-9)


def test_a_class_must_be_likelier_than_the_others_and_than_nothing() -> None:
    odds, intent = np.array([2.0, -2.0, 0.0]), np.array([-1.0, 5.0, 0.0])
    meant = meant_odds(odds, intent)
    p = 1 / (1 + np.exp(-odds)) / (1 + np.exp(-intent))
    np.testing.assert_allclose(meant, np.log(p / (1 - p)))
    assert (meant < np.minimum(odds, intent)).all()
    np.testing.assert_allclose(meant_odds(odds, np.full(3, 500.0)), odds, atol=1e-9)
    assert meant_odds(odds, None) is odds


def course(wanted: int, level: float, lasts_s: float = 4.0) -> Course:
    """Nothing for a second and a half, then a steady answer."""
    idle, n = [(-1.0, -1.0)] * 15, round(lasts_s / HOP)
    told = (level, -level) if wanted == 0 else (-level, level)
    return Course(wanted, -1.5, tuple(idle + [told] * n))


def test_the_leak_is_the_one_by_which_trials_are_decided_soonest() -> None:
    courses = [course(k % 2, 4.0) for k in range(10)]
    quiet = no_control(3.0, sd=0.3)  # any leak keeps it down: the shortest decides soonest
    soon = threshold_for(quiet, HANDS, HOP, CONFIG, 1.0, courses)
    assert soon.config.leak_s == min(LEAKS_S)
    assert (soon.decided, soon.trials) == (10, 10)
    assert 0 < soon.median_s < 1.0
    kept = threshold_for(quiet, HANDS, HOP, CONFIG, 1.0)
    assert kept.config.leak_s == CONFIG.leak_s
    # Where the block is loud and fast, only a long memory keeps it apart from weak answers.
    rng = np.random.default_rng(5)
    odds = np.clip(3.0 * rng.standard_normal(1800), -4, 4)
    begins = np.arange(1800) == 0
    loud = Block(np.stack([odds, -odds], axis=1), np.zeros(1800, dtype=np.bool_), begins)
    weak = [course(k % 2, 1.5, 8.0) for k in range(10)]
    long = threshold_for(loud, HANDS, HOP, CONFIG, 1.0, weak)
    assert long.config.leak_s > min(LEAKS_S)
    assert long.decided == 10
    assert long.false.rate <= 1.0
    levels = steps(weak, HOP, long.config)
    times = times_to_decision(weak, levels, HANDS, HOP, long.config)
    assert np.median(times) == pytest.approx(long.median_s, abs=0.01)


def test_a_trial_that_is_never_decided_counts_with_its_whole_length() -> None:
    courses = [course(0, 4.0), course(1, 4.0)]
    assert lateness(np.array([0.5, np.inf]), courses, HOP) == pytest.approx((0.5 + 3.9) / 2)


def test_a_short_block_and_senseless_knobs_are_refused() -> None:
    with pytest.raises(BadInputError, match="has 6 s of decodes"):
        threshold_for(no_control(0.1), HANDS, HOP, CONFIG, 1.0)
    with pytest.raises(BadInputError, match="can't be wanted"):
        threshold_for(no_control(1.0), HANDS, HOP, CONFIG, -1.0)
    with pytest.raises(BadInputError, match=r"online.off is 2.0, but must be at most online.on"):
        check_online(replace(CONFIG, off=2.0))
    assert check_online(CONFIG) is CONFIG
