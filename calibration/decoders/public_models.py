"""Networks of braindecode as decoders, and what public checkpoints have been pretrained on.

    braindecode:EEGConformer                  trained from scratch on the subject's trials
    braindecode:Labram@HUB/REPOSITORY         begins with a checkpoint of the Hugging Face hub

braindecode is an optional extra and is imported when such a decoder is made.  A checkpoint that
has been pretrained on the recordings of a test says nothing there, whether it was shown labels or
not: :func:`contamination` tells, and where nobody has written down what a checkpoint has seen, it
counts as having seen everything.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rtbci.calibration.decoders.catalogue import BRAINDECODE
from rtbci.calibration.decoders.training import NetworkClassifier, TrainConfig
from rtbci.errors import BadInputError

RATE_HZ = 250.0
"""Of what a decoder sees (``preprocess.rate_hz``)."""
MODELS_RATE_HZ = 200.0
"""Samples a second that LaBraM, BIOT and CBraMod were pretrained at; others name their own."""
EEGMMIDB = "eegmmidb"
"""EEG Motor Movement/Imagery Dataset (PhysioNet), files SnnnRmm; PhysionetMI in MOABB."""


@dataclass(frozen=True)
class Pretrained:
    """What is known of a public checkpoint's pretraining.

    Attributes
    ----------
    seen : tuple of str
        Data sets that it was pretrained on, in lower case.
    complete : bool
        Whether that is the whole list; where not, no data set can be said to be unseen.
    source : str
        Where it is written.
    """

    seen: tuple[str, ...]
    complete: bool
    source: str


CHECKPOINTS: dict[str, Pretrained] = {
    "labram": Pretrained(
        (EEGMMIDB,),
        complete=False,
        source="Jiang et al. 2024, arXiv 2405.18765 (more than 20 public sets, some 2500 hours)",
    ),
    "eegpt": Pretrained(
        (EEGMMIDB, "high gamma", "tsu ssvep benchmark", "seed", "m3cv"),
        complete=True,
        source="Wang et al., NeurIPS 2024; github.com/BINE022/EEGPT, datasets/pretrain/readme.md",
    ),
    "biot": Pretrained(
        ("prest", "shhs", "tuab", "tuev", "chb-mit", "iiic seizure"),
        complete=True,
        source="Yang et al., NeurIPS 2023, arXiv 2305.10351; github.com/ycq091044/BIOT "
        "(checkpoints PREST, SHHS+PREST, and six data sets)",
    ),
    "cbramod": Pretrained(
        ("tueg",),
        complete=True,
        source="Wang et al., ICLR 2025, arXiv 2412.07236; braindecode.models.CBraMod",
    ),
    "bendr": Pretrained(
        ("tueg",),
        complete=True,
        source="Kostas et al. 2021, doi:10.3389/fnhum.2021.653659",
    ),
    "reve": Pretrained(
        ("moabb",),
        complete=False,
        source="El Ouahidi et al. 2025, arXiv 2510.21585 (92 data sets, MOABB's among them)",
    ),
    "mirepnet": Pretrained(
        ("moabb motor imagery",),
        complete=False,
        source="Liu et al. 2025, arXiv 2507.20254; github.com/staraink/MIRepNet (seven of MOABB's "
        "motor imagery sets, named in a figure only)",
    ),
}
"""By the architecture's name in lower case."""


def contamination(decoder: str, dataset: str) -> str:
    """Why a score of a public checkpoint on a data set counts for nothing.

    Parameters
    ----------
    decoder : str
        ``braindecode:NAME`` or ``braindecode:NAME@REPOSITORY``.
    dataset : str
        As in :data:`CHECKPOINTS`, in any case (``eegmmidb``).

    Returns
    -------
    reason : str
        Empty where it may count: trained from scratch, or known not to have seen the data set.
    """
    name, repository = _parse(decoder)
    if not repository:
        return ""
    known = CHECKPOINTS.get(name.lower())
    if known is None:
        return f"contaminated: nothing is known of what {repository} was pretrained on"
    if dataset.lower() in known.seen:
        return f"contaminated: {name} was pretrained on {dataset} ({known.source})"
    if not known.complete:
        return f"contaminated: {name} may have been pretrained on {dataset} ({known.source})"
    return ""


def import_braindecode() -> Any:
    """Import ``braindecode.models``.

    Raises
    ------
    BadInputError
        Where it is not installed or can't be imported, with the command that installs it.
    """
    try:
        return importlib.import_module("braindecode.models")
    except ImportError as err:
        raise BadInputError(
            f"decoders braindecode:NAME need braindecode, which can't be imported here ({err}); "
            'install it with: pip install "rtbci[braindecode]" (it brings torchaudio, of which '
            "there must be a build for your PyTorch)."
        ) from err


def check_public(decoder: str) -> None:
    """Refuse a name that braindecode does not have.

    Raises
    ------
    BadInputError
        As :func:`import_braindecode`, and on an unknown name, with some that are known.
    """
    name, _ = _parse(decoder)
    models = import_braindecode()
    if not isinstance(getattr(models, name, None), type):
        known = sorted(n for n in dir(models) if isinstance(getattr(models, n), type))
        raise BadInputError(
            f"braindecode has no model {name!r}; it has {', '.join(known[:12])}, ... (see "
            "https://braindecode.org/stable/api.html)."
        )


def _parse(decoder: str) -> tuple[str, str]:
    name, _, repository = decoder.removeprefix(BRAINDECODE).partition("@")
    return name, repository


class BraindecodeClassifier(NetworkClassifier):
    """A network of braindecode, trained or fine-tuned on the subject's trials.

    Parameters
    ----------
    model : str
        ``NAME`` or ``NAME@REPOSITORY``.
    electrodes : tuple of str
        Of the channels; passed on to checkpoints, which place them by name.
    seed, epochs, halve
        As :class:`rtbci.calibration.decoders.training.NetworkClassifier`.
    """

    config = TrainConfig(learning_rate=5e-4, held_back=0.2, patience=8)

    def __init__(
        self,
        model: str = "EEGNet",
        electrodes: tuple[str, ...] = (),
        seed: int = 0,
        epochs: int = 30,
        halve: int = 0,
    ) -> None:
        super().__init__(seed=seed, epochs=epochs, halve=halve)
        self.model = model
        self.electrodes = electrodes

    def _build(self, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
        name, repository = _parse(self.model)
        made = getattr(import_braindecode(), name)
        given: dict[str, Any] = {"n_chans": n_channels, "n_outputs": n_classes}
        if not repository:
            rate = RATE_HZ / 2**self.halve
            network: nn.Module = made(**given, n_times=n_times, sfreq=rate)
            return network
        n_model = round(n_times * MODELS_RATE_HZ * 2**self.halve / RATE_HZ)
        if self.electrodes:
            given["chs_info"] = [{"ch_name": e, "kind": "eeg"} for e in self.electrodes]
        body = made.from_pretrained(repository, **given, n_times=n_model, sfreq=MODELS_RATE_HZ)
        return _Resampled(body, n_model)


class _Resampled(nn.Module):
    """A checkpoint behind linear interpolation to the length that it takes."""

    def __init__(self, body: nn.Module, n_times: int) -> None:
        super().__init__()
        self.body = body
        self.n_times = n_times

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.body(nn.functional.interpolate(x, self.n_times, mode="linear"))
        return made


def braindecode_decoder(decoder: str, electrodes: tuple[str, ...] = ()) -> BraindecodeClassifier:
    """Make the estimator of a name.

    Raises
    ------
    BadInputError
        As :func:`check_public`.
    """
    check_public(decoder)
    return BraindecodeClassifier(decoder.removeprefix(BRAINDECODE), tuple(electrodes))
