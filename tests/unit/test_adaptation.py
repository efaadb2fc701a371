"""Adaptation: it finds a new session's covariances, and no stream turns decodes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skops.io
from online_trials import CUE_S, EVERY_S, RATE, VIEW, decoder, fitted, imagery, play
from scipy.linalg import sqrtm
from sklearn.covariance import oas

from rtbci.calibration.decoders import spd
from rtbci.calibration.decoders.catalogue import make_decoder
from rtbci.calibration.evaluation.adaptation import (
    OFF,
    AdaptationTable,
    Followed,
    compare_online,
    evaluate_adaptation,
    of_trials,
)
from rtbci.calibration.online.adaptation import Follower, LabelledTrial, Referenced
from rtbci.calibration.online.config import OnlineConfig
from rtbci.calibration.online.head import Head
from rtbci.calibration.profile import _foreign
from rtbci.calibration.reading.trials import Windows
from rtbci.calibration.signal.streaming import CausalView, as_trial
from rtbci.errors import BadInputError

RECENTRE = OnlineConfig(bias_rate=0.0, learn=False)
OTHER_CAP = np.array([[0.4, 0.1, 0.0], [0.2, 1.0, 0.2], [0.0, 0.3, 2.5]])
"""A session break: C4 six times as large as C3, and some of Cz in both."""


def random_spd(seed: int, *shape: int, n: int = 4) -> spd.Matrices:
    x = np.random.default_rng(seed).standard_normal((*shape, n, 3 * n))
    return np.asarray(x @ np.swapaxes(x, -1, -2))


@pytest.fixture(scope="module")
def calibrated() -> Referenced:
    return fitted()


def balanced(n: int, seed: int = 5) -> list[int]:
    return list(np.random.default_rng(seed).permutation([k % 2 for k in range(n)]))


def test_covariances_are_those_of_oas() -> None:
    x = np.random.default_rng(0).standard_normal((2 * 5, 60)) * np.arange(1, 11)[:, None]
    for band, made in enumerate(spd.covariances(x, 2)):
        expected, _ = oas(x[5 * band : 5 * band + 5].T, assume_centered=True)
        np.testing.assert_allclose(made, expected, rtol=1e-10)
    assert np.isfinite(np.log(np.linalg.eigvalsh(spd.covariances(np.zeros((3, 9)), 1)))).all()


def test_means_geodesics_and_transport() -> None:
    a, b = random_spd(0), random_spd(1)
    np.testing.assert_allclose(spd.between(a, b, 0.0), a, atol=1e-9)
    np.testing.assert_allclose(spd.between(a, b, 1.0), b, atol=1e-9)
    middle = spd.between(a, b, 0.5)
    np.testing.assert_allclose(spd.distance(a, middle), spd.distance(middle, b))
    np.testing.assert_allclose(spd.riemannian_mean(np.stack([a, b])), middle, atol=1e-7)
    e = spd.transport(a, b)
    np.testing.assert_allclose(e @ a @ e.T, b, atol=1e-8)
    np.testing.assert_allclose(e, np.real(sqrtm(b @ np.linalg.inv(a))), atol=1e-8)
    np.testing.assert_allclose(spd.transport(a, a), np.eye(4), atol=1e-9)


def test_a_session_break_costs_and_recentring_gives_it_back(calibrated: Referenced) -> None:
    states = balanced(40)
    x = imagery(states, 7, mixing=OTHER_CAP)
    right = {
        how: play(decoder(calibrated, replace(RECENTRE, recentre=how)), x, states).right(last=20)
        for how in ("none", "riemann")
    }
    assert right["none"] < 0.7
    assert right["riemann"] > 0.85


def test_ninety_percent_of_one_class_turn_nothing_over(calibrated: Referenced) -> None:
    """Plain running means would: they take the frequent class for the middle."""
    states = [int(k % 10 == 9) for k in range(40)]
    x = imagery(states, 8)
    still = play(decoder(calibrated, replace(RECENTRE, recentre="none")), x, states)
    assert still.right() > 0.85
    for config in (RECENTRE, OnlineConfig(learn=True)):
        moving = play(decoder(calibrated, config), x, states)
        for state in (0, 1):
            assert moving.right(state) >= still.right(state) - 0.26  # one of the four rare trials
        assert moving.right(0, last=20) > 0.85


def test_one_class_alone_and_rest_change_nothing(calibrated: Referenced) -> None:
    for states in ([0] * 12, [-1] * 12):
        d = decoder(calibrated, RECENTRE)
        x = imagery(states, 9, mixing=OTHER_CAP)
        answers = play(d, x, states).answers
        assert d.adapted.untouched
        assert not any(a.changes for a in answers)
        plain = decoder(calibrated, replace(RECENTRE, recentre="none"))
        for one, other in zip(answers, play(plain, x, states).answers, strict=True):
            assert one.p.tobytes() == other.p.tobytes()


def test_it_is_frozen_outside_cued_blocks(calibrated: Referenced) -> None:
    states = balanced(12)
    d = decoder(calibrated, OnlineConfig())
    play(d, imagery(states, 10, mixing=OTHER_CAP), states)
    learnt = d.adapted
    assert learnt.rounds >= 3
    play(d, imagery(states, 11, mixing=3 * OTHER_CAP), states, cued=False)
    assert d.adapted is learnt


def test_with_nothing_to_learn_it_is_the_estimator(calibrated: Referenced) -> None:
    states = balanced(4)
    x = imagery(states, 12)
    for answer in play(d := decoder(calibrated, OnlineConfig()), x, states, cued=False).answers:
        assert answer.reason in ("", "window not full")
    window, _ = d._stream.window(np.ones(3, dtype=np.bool_))
    assert window is not None
    np.testing.assert_array_equal(
        answer.p, calibrated.estimator.predict_proba(window[np.newaxis])[0]
    )


def trial(wanted: int, covariance: spd.Matrices, scores: tuple[float, float]) -> LabelledTrial:
    return LabelledTrial(wanted, covariance, np.array(scores), np.zeros(0))


def test_its_speed_is_bounded() -> None:
    reference = random_spd(2, 1)
    config = replace(RECENTRE, recentre_speed=0.1)
    follower = Follower(reference, 2, config)
    now, far = follower.start(), 1e6 * reference
    for _ in range(5):
        before = now
        for wanted in (0, 1):
            now = follower.follow(now, trial(wanted, far, (0.0, 0.0)))
        assert spd.distance(before.running, now.running).max() <= 0.1 + 1e-9
    assert spd.distance(reference, now.running).max() > 0.4


def test_the_bias_goes_to_the_middle_between_the_classes() -> None:
    """Whatever their share: 90 % of one class once drew it to that class."""
    follower = Follower(None, 2, OnlineConfig(recentre="none", bias_rate=0.2, learn=False))
    now = follower.start()
    reference = random_spd(3, 1)
    for k in range(400):
        wanted = int(k % 10 == 9)
        scores = (1.5, -1.5) if wanted == 0 else (-0.5, 0.5)
        now = follower.follow(now, trial(wanted, reference, scores))
    np.testing.assert_allclose(now.bias, (0.5, -0.5), atol=0.01)


def test_a_head_learns_what_the_decoder_does_not_know() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    x = rng.standard_normal((60, 30))
    x[:, 4] += 3.0 * y - 1.5
    nothing = np.zeros(2)
    known = [(int(c), nothing, row) for c, row in zip(y, x, strict=True)]
    head = Head.fit(known[:40], 2, pull=3.0)
    assert head is not None
    right = [int(np.argmax(head(row))) == c for c, _, row in known[40:]]
    assert np.mean(right) > 0.7
    held = Head.fit(known[:40], 2, pull=1e6)
    assert held is not None
    assert np.abs(held.weights).max() < 1e-3
    assert Head.fit(known[:3], 2, pull=3.0) is None
    assert Head.fit([k for k in known if k[0] == 0], 2, pull=3.0) is None


def test_the_reference_goes_into_a_profile() -> None:
    x = np.random.default_rng(0).standard_normal((12, 3, RATE))
    y = np.arange(12) % 2
    made = Referenced.around(make_decoder("csp+lda").fit(x, y), x, 1)
    content = skops.io.dumps(made)
    assert _foreign(content) == []
    again = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    assert isinstance(again, Referenced)
    np.testing.assert_array_equal(again.riemann, made.riemann)
    np.testing.assert_array_equal(again.euclid, made.euclid)
    np.testing.assert_array_equal(again.predict_proba(x), made.estimator.predict_proba(x))
    assert again.classes_.tolist() == [0, 1]


def windows(states: list[int], seed: int) -> Windows:
    """Three windows of each trial of another session."""
    seen = CausalView(range(3), RATE, VIEW).push(imagery(states, seed, mixing=OTHER_CAP))
    x = []
    for k in range(len(states)):
        for late in (1.6, 2.5, 3.4):
            stop = round((EVERY_S * k + CUE_S + late) * RATE)
            x.append(as_trial(seen[stop - VIEW.rows(RATE) : stop], VIEW))
    n = len(states)
    return Windows(
        np.stack(x),
        np.repeat(np.arange(n), 3),
        np.ones(3 * n, dtype=np.bool_),
        np.array(states, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
    )


def test_the_table_says_what_following_gives(calibrated: Referenced) -> None:
    rows: dict[str, Mapping[str, Followed]] = {
        config.recentre: compare_online(calibrated, windows(balanced(40, seed), seed), 2, 2, config)
        for seed, config in ((1, OnlineConfig()), (2, OnlineConfig(recentre="euclid")))
    }
    for row in rows.values():
        assert row["re-centred"].balanced > row[OFF].balanced + 0.1
        assert row["re-centred"].kept + row["re-centred"].reverted == 1
        assert row[OFF].kept == row[OFF].reverted == 0
    table = AdaptationTable({"csp+lda": {name: {"a > b": row} for name, row in rows.items()}})
    off, gained = table.means("csp+lda")[OFF], table.means("csp+lda")["re-centred"]
    assert off[1].mean == 0.0
    assert gained[1].low > 0.1
    assert gained[1].mean == pytest.approx(gained[0].mean - off[0].mean)
    assert table.note("csp+lda") == "csp+lda: 2 subjects, 2 pairs of recordings"
    assert set(table.to_dict()["csp+lda"]["euclid"]["a > b"]) == set(rows["euclid"])


def test_some_trials_keep_their_own_windows() -> None:
    every = windows(balanced(10, 3), 3)
    some = of_trials(every, np.array([2, 7]))
    np.testing.assert_array_equal(some.x, every.x[[6, 7, 8, 21, 22, 23]])
    np.testing.assert_array_equal(some.trial, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(some.y, every.y[[2, 7]])


def test_one_recording_says_nothing_of_a_later_one(tmp_path: Path) -> None:
    (tmp_path / "S900R03.edf").touch()
    with pytest.raises(BadInputError, match="two recordings of the same task"):
        evaluate_adaptation([tmp_path])
