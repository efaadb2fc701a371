"""Forecasting heads, the electrode graph, the vocabulary and the input convention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import HANDS, noise, tiny

from rtbci.errors import BadInputError
from rtbci.models import electrodes
from rtbci.models.config import MOTOR_ELECTRODES, preset
from rtbci.models.eegpt import EEGPT
from rtbci.models.teg import TEG
from rtbci.models.tokens import linear_inputs, normalise, restore, token_window


def test_an_untrained_direct_head_gives_the_linear_blend() -> None:
    head = EEGPT(preset("tiny")).direct_head
    share = torch.linspace(1.0, 0.0, 250)
    head.blend.copy_(share)
    linear = noise(0, 2, 4, 2, 250)
    valid = torch.ones(2, 4, dtype=torch.bool)
    forecast = head(noise(1, 2, 4, 16), noise(2, 2, 4, 50), linear, valid)
    torch.testing.assert_close(forecast, share * linear[:, :, 0] + (1 - share) * linear[:, :, 1])


def test_gains_act_on_their_own_stretch() -> None:
    head = tiny().direct_head
    bins = head.bins
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.bias.zero_()
        head.out.bias[1] = 0.5  # second stretch of AR
    linear = torch.ones(1, 1, 2, 250)
    forecast = head(noise(1, 1, 1, 16), noise(2, 1, 1, 50), linear, torch.tensor([[True]]))
    gained = torch.ones(250)
    gained[250 // bins : 2 * 250 // bins] = 1.5
    torch.testing.assert_close(forecast[0, 0], gained)


def test_nobody_attends_to_an_electrode_that_is_left_out() -> None:
    head = tiny().direct_head
    states, recent, linear = noise(0, 1, 4, 16), noise(1, 1, 4, 50), noise(2, 1, 4, 2, 250)
    valid = torch.tensor([[True, True, False, True]])
    before = head(states, recent, linear, valid)
    states[0, 2], recent[0, 2] = 1e3, -1e3
    after = head(states, recent, linear, valid)
    torch.testing.assert_close(after[0, [0, 1, 3]], before[0, [0, 1, 3]])
    states[0, 1] = 1e3
    moved = head(states, recent, linear, valid)
    assert not torch.allclose(moved[0, 0], after[0, 0])


def test_all_electrodes_left_out_is_still_finite() -> None:
    nobody = torch.zeros(1, 4, dtype=torch.bool)
    forecast = tiny().direct_head(
        noise(0, 1, 4, 16), noise(1, 1, 4, 50), noise(2, 1, 4, 2, 250), nobody
    )
    assert forecast.isfinite().all()


def graph() -> tuple[TEG, torch.Tensor]:
    network = tiny(classes=HANDS)
    assert network.teg is not None
    ids = torch.tensor([electrodes.electrode_ids(["C3", "Cz", "C4", "AF7", "EEG 12"])])
    return network.teg, ids


def test_the_graph_reads_motor_electrodes_only() -> None:
    teg, ids = graph()
    states, valid = noise(0, 1, 5, 16), torch.ones(1, 5, dtype=torch.bool)
    assert teg.active(ids, valid).tolist() == [[True, True, True, False, False]]
    before = teg(states, ids, valid)
    states[0, 3:] = 1e3
    assert torch.equal(teg(states, ids, valid), before)


def test_the_graph_does_not_care_about_order_or_absence() -> None:
    teg, ids = graph()
    states, valid = noise(0, 1, 5, 16), torch.tensor([[True, True, False, True, True]])
    logits = teg(states, ids, valid)
    order = [3, 1, 0, 4, 2]
    torch.testing.assert_close(teg(states[:, order], ids[:, order], valid[:, order]), logits)
    torch.testing.assert_close(teg(states[:, :2], ids[:, :2], valid[:, :2]), logits)


def test_the_graph_attends_as_its_formula_says() -> None:
    teg, _ = graph()
    layer = teg.layers[0]
    h = noise(1, 1, 5, 16)
    active = torch.tensor([[True, True, True, False, False]])
    wh = layer.weight(layer.norm(h))[0]  # type: ignore[operator]
    a = layer.score.weight  # type: ignore[union-attr]
    for m in range(3):
        pairs = torch.stack([a[0] @ wh[m] + a[1] @ wh[n] for n in range(3)])  # type: ignore[index]
        alpha = torch.where(pairs > 0, pairs, 0.2 * pairs).softmax(0)
        expected = h[0, m] + torch.nn.functional.elu(alpha @ wh[:3])
        torch.testing.assert_close(layer(h, active)[0, m], expected)


def test_the_graph_without_electrodes_gives_its_bias() -> None:
    teg, ids = graph()
    nobody = torch.zeros(1, 5, dtype=torch.bool)
    logits = teg(noise(0, 1, 5, 16), ids, nobody)
    torch.testing.assert_close(logits[0], teg.out.bias)


def test_vocabulary_rows_never_move() -> None:
    """The order of the file is the meaning of every trained embedding: rows are only appended."""
    assert electrodes.size() == 340
    assert electrodes.names()[:3] == ("Fp1", "Fpz", "Fp2")
    assert electrodes.digest(340) == (
        "4f72d879591f132e78891f4f74890215c1e0ac1ef771c089fa16765f669aa0dc"
    )
    assert len({n.casefold() for n in electrodes.names()}) == len(electrodes.names())


def test_electrode_ids() -> None:
    ids = electrodes.electrode_ids(["Fp1", "fPZ", "T3", "T7", "Fp9000", ""])
    assert ids == [1, 2, ids[3], ids[3], 0, 0]
    assert electrodes.electrode_ids(["C3", "C4", "T3"], known=["C3", "t7"]) == [
        *electrodes.electrode_ids(["C3"]),
        0,
        ids[3],
    ]
    assert all(electrodes.electrode_ids(MOTOR_ELECTRODES))


def test_a_longer_vocabulary_is_refused() -> None:
    with pytest.raises(BadInputError, match="has 400 rows but this version of rtbci knows 340"):
        electrodes.digest(400)


def test_token_window_normalises_bounds_and_pads() -> None:
    history = np.zeros((100, 3), np.float32)
    history[:, 0] = np.arange(100)
    history[-1, 1] = np.inf
    history[-1, 2] = np.nan
    mean, scale = np.array([9.0, 0, 0], np.float32), np.array([10.0, 1, 1], np.float32)
    window = token_window(history, mean, scale, 250)
    assert window.shape == (250, 3)
    assert window.dtype == np.float32
    assert not window[:150].any()
    np.testing.assert_array_equal(window[150:, 0], (np.arange(100, dtype=np.float32) - 9) / 10)
    assert window[-1].tolist() == [9.0, 12.0, 0.0]
    assert np.isinf(history[-1, 1])


def test_restore_undoes_normalise() -> None:
    x = noise(0, 50, 3).numpy()
    mean, scale = np.array([1.0, -2, 3], np.float32), np.array([4.0, 5, 6], np.float32)
    np.testing.assert_allclose(restore(normalise(x, mean, scale), mean, scale), x, atol=1e-5)


def test_linear_inputs_stand_in_for_one_another() -> None:
    mean, scale = np.zeros(4, np.float32), np.full(4, 2.0, np.float32)
    ar = np.full((250, 4), 2.0, np.float32)
    ridge = np.full((250, 4), 4.0, np.float32)
    ar[:, 1], ridge[:, 2], ar[:, 3], ridge[:, 3] = np.nan, np.nan, np.nan, np.nan
    linear = linear_inputs(ar, ridge, mean, scale)
    assert linear.shape == (4, 2, 250)
    assert linear[:, :, 0].tolist() == [[1.0, 2.0], [2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]
    assert linear_inputs(ar, None, mean, scale)[:, :, 0].tolist()[:2] == [[1.0, 1.0], [0.0, 0.0]]
    assert linear_inputs(ar * 1e6, ridge, mean, scale).max() == 12.0
