"""Sizes and choices of the network: one frozen dataclass, saved with the weights.

Everything that shapes a tensor or changes a number is a field, so that a checkpoint can be
rebuilt from its own metadata and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from rtbci.config import PreprocessConfig, TokenConfig
from rtbci.errors import BadInputError

MOTOR_ELECTRODES = tuple(
    f"{row}{column}" for row in ("FC", "C", "CP") for column in (5, 3, 1, "z", 2, 4, 6)
)
"""The 21 sites over the motor cortex that the decode head reads."""


_COUNTS = (
    "context",
    "dim",
    "layers",
    "heads",
    "ffn",
    "n_horizons",
    "recent",
    "gain_bins",
    "teg_tokens",
    "vocabulary",
    "n_window",
    "n_hop",
)


@dataclass(frozen=True)
class ModelConfig:
    """An EEGPT-style network for real-time use (Yue et al., arXiv 2410.19779, adapted).

    Attributes
    ----------
    rate_hz : float
        Samples a second of the preprocessed signal.
    window_s, hop_s : float
        Length of a token's window, and time from a token to the next.
    context : int
        Tokens that attention looks back on, the current one included.
    dim, layers, heads, ffn : int
        Width, blocks, attention heads and SwiGLU width of the encoder.
    rotary_base : float
        Base of the rotary frequencies; positions count tokens, and only differences below
        ``context`` ever matter, so it is far below a language model's 10 000.
    n_horizons : int
        Samples that a forecast reaches ahead.
    recent : int
        Newest samples that the direct head also gets raw.
    gain_bins : int
        Stretches of the forecast that have a gain of their own in the direct head.
    cross_layers : int
        Blocks of attention across electrodes in the direct head.
    teg_layers, teg_tokens : int
        Graph layers of the decode head, and newest tokens whose mean state it reads.
    teg_electrodes : tuple of str
        Electrodes that the decode head may read.  The motor sites by default: on EEGMMIDB the
        frontal ones give the target away by the eyes (imagined left or right at 0.82 from
        AF7 minus AF8 at 0.3-6 Hz), and a head that reads them decodes gaze, not imagery.
    teg_min_electrodes : int
        Good ones among them that a decode needs.
    teg_context_s : float
        Signal since the start of the segment that a decode needs, seconds.
    classes : tuple of str
        What the decode head tells apart; empty where there is no such head.
    electrodes : tuple of str
        Names seen in training; all others share the generic token.  Empty: the whole vocabulary.
    vocabulary : int
        Rows of the electrode embedding (:mod:`rtbci.models.electrodes`), the generic one included.
    preprocess : PreprocessConfig
        The chain that the weights were trained behind.
    subjects : tuple of str
        Whom the weights were trained on: a score on these is no test.  Empty: they don't say.

    Raises
    ------
    BadInputError
        Where the fields contradict one another.
    """

    rate_hz: float = 250.0
    window_s: float = 1.0
    hop_s: float = 0.1
    context: int = 32
    dim: int = 128
    layers: int = 3
    heads: int = 4
    ffn: int = 512
    rotary_base: float = 1000.0
    n_horizons: int = 250
    recent: int = 50
    gain_bins: int = 20
    cross_layers: int = 1
    teg_layers: int = 3
    teg_tokens: int = 1
    teg_electrodes: tuple[str, ...] = MOTOR_ELECTRODES
    teg_min_electrodes: int = 3
    teg_context_s: float = 2.0
    classes: tuple[str, ...] = ()
    electrodes: tuple[str, ...] = ()
    vocabulary: int = 340
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    subjects: tuple[str, ...] = ()

    @property
    def n_window(self) -> int:
        """Samples of a token's window."""
        return round(self.window_s * self.rate_hz)

    @property
    def n_hop(self) -> int:
        """New samples from a token to the next."""
        return round(self.hop_s * self.rate_hz)

    @property
    def rollout_steps(self) -> int:
        """Tokens that a rollout of ``n_horizons`` samples takes, the ingested one included."""
        return self.n_horizons // self.n_hop

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise BadInputError(f"model.{name} must be at least 1, got {getattr(self, name)}.")
        if self.dim % (2 * self.heads):
            raise BadInputError(
                f"model.dim {self.dim} must be a multiple of twice model.heads ({self.heads}): "
                "rotary positions turn pairs within a head."
            )
        if self.n_horizons % self.n_hop:
            raise BadInputError(
                f"model.n_horizons {self.n_horizons} must be a multiple of the hop's "
                f"{self.n_hop} samples: a rollout advances by whole hops."
            )
        if not self.n_hop <= self.n_window or self.recent > self.n_window:
            raise BadInputError(
                f"model.hop_s ({self.n_hop} samples) and model.recent ({self.recent}) must fit "
                f"into the window of {self.n_window} samples."
            )
        read_s = self.window_s + (self.teg_tokens - 1) * self.hop_s
        if read_s > self.teg_context_s + 1e-9:
            raise BadInputError(
                f"model.teg_context_s {self.teg_context_s:g} must cover the windows of the "
                f"{self.teg_tokens} tokens that the decode head reads."
            )
        if self.preprocess.rate_hz != self.rate_hz:
            raise BadInputError(
                f"model.rate_hz is {self.rate_hz:g} but model.preprocess.rate_hz is "
                f"{self.preprocess.rate_hz:g}: the network sees what the preprocessing gives."
            )


PRESETS: dict[str, ModelConfig] = {
    "tiny": ModelConfig(
        context=8, dim=16, layers=2, heads=2, ffn=32, teg_layers=1, gain_bins=5, rotary_base=100.0
    ),
    "base": ModelConfig(),
    "large": ModelConfig(dim=256, layers=9, heads=8, ffn=1024),
    "huge": ModelConfig(dim=896, layers=12, heads=14, ffn=3584, teg_layers=4),
    "giant": ModelConfig(dim=1792, layers=20, heads=28, ffn=7168, teg_layers=4),
}
"""Named sizes: the paper's four, and one for tests."""


def preset(name: str, **changes: object) -> ModelConfig:
    """Give a named size, with fields changed.

    Raises
    ------
    BadInputError
        On a name that is none, listing those that are.
    """
    if name not in PRESETS:
        raise BadInputError(f"there is no model size {name!r}; choose one of {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]


def check_session(config: ModelConfig, preprocess: PreprocessConfig, token: TokenConfig) -> None:
    """Refuse weights that were trained behind another signal chain than the session's.

    The mains notches may differ: they lie above the low-pass.

    Raises
    ------
    BadInputError
        With the setting, both values and the remedy.
    """
    free = {"line_hz", "notch_q"}
    pairs = [
        (f"preprocess.{f.name}", getattr(config.preprocess, f.name), getattr(preprocess, f.name))
        for f in fields(PreprocessConfig)
        if f.name not in free
    ]
    pairs += [
        ("token.window_s", config.window_s, token.window_s),
        ("token.hop_s", config.hop_s, token.hop_s),
    ]
    for name, trained, asked in pairs:
        if trained != asked:
            raise BadInputError(
                f"the model was trained with {name} = {trained!r} but the session has {asked!r}: "
                f"set {name} to {trained!r} or choose another model (--model ar needs none)."
            )
