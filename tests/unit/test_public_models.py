"""braindecode's networks as decoders, by a module of twenty lines that stands in for it.

braindecode itself needs torchaudio, which has no wheel for every PyTorch; nothing here needs it.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pytest
import skops.io
import torch
from torch import Tensor, nn

from rtbci.calibration.decoders.catalogue import Task, find_recipe, make_decoder
from rtbci.calibration.decoders.public_models import CHECKPOINTS, EEGMMIDB, contamination
from rtbci.calibration.profile import _foreign
from rtbci.errors import BadInputError

Array = npt.NDArray[np.float64]


class Labram(nn.Module):
    """Log power of each channel, and a linear layer: as braindecode's models are called."""

    asked: tuple[Any, ...] = ()

    def __init__(
        self, n_chans: int, n_outputs: int, n_times: int, sfreq: float, chs_info: Any = None
    ) -> None:
        super().__init__()
        type(self).asked = (n_chans, n_outputs, n_times, sfreq, chs_info)
        self.out = nn.Linear(n_chans, n_outputs)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(10.0 * x.var(dim=-1).log())
        return out

    @classmethod
    def from_pretrained(cls, repository: str, **given: Any) -> Self:
        made = cls(**given)
        with torch.no_grad():
            made.out.bias.copy_(torch.tensor([float(len(repository)), 0.0]))
        return made


@pytest.fixture
def braindecode(monkeypatch: pytest.MonkeyPatch) -> None:
    models = types.ModuleType("braindecode.models")
    models.__dict__.update(Labram=Labram, number=3)
    package = types.ModuleType("braindecode")
    package.__dict__.update(models=models)
    monkeypatch.setitem(sys.modules, "braindecode", package)
    monkeypatch.setitem(sys.modules, "braindecode.models", models)


def trials(n: int, seed: int) -> tuple[Array, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % 2
    x = 5 * rng.standard_normal((n, 4, 250))
    x[y == 1, 2] *= 2.0
    return x, y


@pytest.mark.usefixtures("braindecode")
def test_any_network_is_a_decoder() -> None:
    x, y = trials(40, 0)
    fitted = make_decoder("braindecode:Labram").fit(x, y)
    assert Labram.asked == (4, 2, 250, 250.0, None)
    test, wanted = trials(40, 1)
    p = fitted.predict_proba(test)
    assert np.mean(p.argmax(axis=1) == wanted) > 0.9
    alone = np.concatenate([fitted.predict_proba(t[np.newaxis]) for t in test])
    np.testing.assert_allclose(alone, p, atol=1e-9)
    stored = skops.io.dumps(fitted)
    assert _foreign(stored) == []
    again = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_allclose(again.predict_proba(test), p, atol=1e-9)


@pytest.mark.usefixtures("braindecode")
def test_a_checkpoint_gets_its_own_rate_and_names() -> None:
    x, y = trials(8, 0)
    task = Task(electrodes=("C3", "Cz", "C4", "Pz"))
    decoder = make_decoder("braindecode:Labram@hub/a-repository", task)
    decoder.set_params(epochs=1)
    p = decoder.fit(x, y).predict_proba(x)
    n_chans, n_outputs, n_times, rate, info = Labram.asked
    assert (n_chans, n_outputs, n_times, rate) == (4, 2, 200, 200.0)
    assert [c["ch_name"] for c in info] == ["C3", "Cz", "C4", "Pz"]
    assert p[:, 0].min() > 0.9, "it began with the checkpoint's bias"


def test_without_braindecode_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "braindecode", None)
    monkeypatch.setitem(sys.modules, "braindecode.models", None)
    with pytest.raises(
        BadInputError, match=r'need braindecode.*pip install "rtbci\[braindecode\]"'
    ):
        make_decoder("braindecode:Labram")


@pytest.mark.usefixtures("braindecode")
@pytest.mark.parametrize("name", ["Labrador", "number", ""])
def test_an_unknown_network_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match=f"braindecode has no model '{name}'; it has Labram"):
        make_decoder(f"braindecode:{name}")


def test_what_a_checkpoint_has_seen_does_not_count() -> None:
    assert contamination("braindecode:Labram", EEGMMIDB) == ""
    assert "was pretrained on eegmmidb" in contamination("braindecode:Labram@hub/labram", EEGMMIDB)
    assert "was pretrained on EEGMMIDB" in contamination("braindecode:EEGPT@hub/x", "EEGMMIDB")
    assert contamination("braindecode:EEGPT@hub/x", "my lab") == ""
    assert contamination("braindecode:CBraMod@hub/x", EEGMMIDB) == ""
    assert "may have been" in contamination("braindecode:REVE@hub/x", EEGMMIDB)
    assert "nothing is known" in contamination("braindecode:Mystery@hub/x", EEGMMIDB)
    for known in CHECKPOINTS.values():
        assert known.seen
        assert known.source
        assert all(name == name.lower() for name in known.seen)


def test_recipes_say_whom_they_saw() -> None:
    saw = find_recipe("braindecode:Labram@hub/labram").saw
    assert saw is not None
    assert saw("S001")
    unseen = find_recipe("braindecode:CBraMod@hub/x").saw
    assert unseen is not None
    assert not unseen("S001")
    assert find_recipe("csp+lda").saw is None
    foundation = find_recipe("eegpt").saw
    assert foundation is not None
    assert foundation("S003")
    assert not foundation("S001")
