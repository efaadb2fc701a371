"""Sizes and choices of the network: one frozen dataclass, saved with the weights.

Everything that shapes a tensor or changes a number is a field, so that a checkpoint can be
rebuilt from its own metadata and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from rtbci.config import PreprocessConfig, TokenConfig
from rtbci.errors import BadInputError
from rtbci.models.electrodes import graph_nodes

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
class TaskConfig:
    """A task whose head reads the electrode graph, beside the hands of the live decode.

    Attributes
    ----------
    name : str
    classes : tuple of str
        What it tells apart; empty where it estimates a number.
    electrodes : tuple of str
        Electrodes that it may read; empty for all nodes of the graph.
    unit : str
        Of the number.
    centre, spread : float
        What the head's number is multiplied by and added to, in that unit.
    """

    name: str
    classes: tuple[str, ...] = ()
    electrodes: tuple[str, ...] = ()
    unit: str = ""
    centre: float = 0.0
    spread: float = 1.0

    @property
    def n_outputs(self) -> int:
        """Logits of the classes, or one number."""
        return len(self.classes) or 1


@dataclass(frozen=True)
class ModelConfig:
    """An EEGPT-style network (Yue et al., arXiv 2410.19779): for real-time use, or as published.

    The defaults are the real-time flavour.  The paper's flavour (:data:`PAPER`) takes what the
    paper states: 256 Hz, 0.1-100 Hz, a second every 125 ms, 25 tokens, the next window as target,
    a condition token in front, a summary token behind, a graph over 138 electrodes.  The paper
    does not state, and we chose: norm and positions (pre-RMSNorm, rotary), the order of the
    filters and the notches, running instead of whole-recording z-scores (live there is no whole),
    how much wider the forecast head's hidden layer is (``ffn``), where the summary token learns
    (in stage I, by the same forecast), which 138 electrodes they are
    (:func:`rtbci.models.electrodes.graph_nodes`), the graph's activation and its pooling
    (:mod:`rtbci.models.teg`).

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
    condition : str
        How a token knows its electrode: ``add`` its embedding to each token, or ``prefix`` the
        sequence with it as a condition token, which has no position and sees itself alone.
    summary : bool
        Whether a summary token behind the newest token gives the state that the graph reads.
    target : str
        What a token's own head forecasts: the ``hop`` after it, none of which it has seen, or the
        next token's whole ``window``, most of which it has.
    direct : bool
        Whether there is a head for all horizons at once; without it forecasts are rolled out.
    masked : bool
        Whether there is a mask token: set by masked pretraining.
    n_horizons : int
        Samples that a forecast reaches ahead.
    recent : int
        Newest samples that the direct head also gets raw.
    gain_bins : int
        Stretches of the forecast that have a gain of their own in the direct head.
    cross_layers : int
        Blocks of attention across electrodes in the direct head.
    intervals : bool
        Whether the direct head also says how wide the intervals around its forecast are.
    teg_layers, teg_tokens : int
        Layers of the electrode graph (0: pooling alone), and newest tokens whose mean state it
        reads.
    nodes : tuple of str
        Electrodes that are nodes of the graph; empty for the whole vocabulary.
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
    tasks : tuple of TaskConfig
        Further heads on the graph, kept for evaluation; sessions decode ``classes``.
    graphs : str
        ``joint``: all tasks share one graph; ``separate``: each task has its own, as a comparison.
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
    condition: Literal["add", "prefix"] = "add"
    summary: bool = False
    target: Literal["hop", "window"] = "hop"
    direct: bool = True
    masked: bool = False
    n_horizons: int = 250
    recent: int = 50
    gain_bins: int = 20
    cross_layers: int = 1
    intervals: bool = False
    teg_layers: int = 3
    teg_tokens: int = 1
    nodes: tuple[str, ...] = ()
    teg_electrodes: tuple[str, ...] = MOTOR_ELECTRODES
    teg_min_electrodes: int = 3
    teg_context_s: float = 2.0
    classes: tuple[str, ...] = ()
    tasks: tuple[TaskConfig, ...] = ()
    graphs: Literal["joint", "separate"] = "joint"
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
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names) or self.teg_layers < 0:
            raise BadInputError(
                f"model.tasks must have different names, got {', '.join(names)}; "
                f"model.teg_layers must be 0 or more, got {self.teg_layers}."
            )
        if self.preprocess.rate_hz != self.rate_hz:
            raise BadInputError(
                f"model.rate_hz is {self.rate_hz:g} but model.preprocess.rate_hz is "
                f"{self.preprocess.rate_hz:g}: the network sees what the preprocessing gives."
            )


_SIZES: dict[str, dict[str, int]] = {
    "base": {"dim": 128, "layers": 3, "heads": 4, "ffn": 512, "teg_layers": 3},
    "large": {"dim": 256, "layers": 9, "heads": 8, "ffn": 1024, "teg_layers": 3},
    "huge": {"dim": 896, "layers": 12, "heads": 14, "ffn": 3584, "teg_layers": 4},
    "giant": {"dim": 1792, "layers": 20, "heads": 28, "ffn": 7168, "teg_layers": 4},
}
"""The paper's four sizes (its table 2)."""

_TINY: dict[str, int | float] = {
    "context": 8,
    "dim": 16,
    "layers": 2,
    "heads": 2,
    "ffn": 32,
    "teg_layers": 1,
    "gain_bins": 5,
    "rotary_base": 100.0,
}
"""For tests and trials."""

REAL_TIME = ModelConfig(intervals=True, cross_layers=2)
"""The settings that are made for sessions, at the size base."""

PAPER = ModelConfig(
    rate_hz=256.0,
    window_s=1.0,
    hop_s=0.125,
    context=25,
    condition="prefix",
    summary=True,
    target="window",
    direct=False,
    n_horizons=256,
    nodes=graph_nodes(),
    teg_context_s=4.0,
    preprocess=PreprocessConfig(rate_hz=256.0, high_pass_hz=0.1, low_pass_hz=100.0),
)
"""The paper's settings, at the size base.  Its token is one second taken every 125 ms, so a
target shares 87.5 % of its samples with what was seen: scores count the new samples alone."""

PAPER_NAME = "eegpt-paper"

PRESETS: dict[str, ModelConfig] = {
    "tiny": replace(REAL_TIME, **_TINY),  # type: ignore[arg-type]
    **{name: replace(REAL_TIME, **size) for name, size in _SIZES.items()},  # type: ignore[arg-type]
    PAPER_NAME: PAPER,
    f"{PAPER_NAME}-tiny": replace(PAPER, **_TINY),  # type: ignore[arg-type]
    **{
        f"{PAPER_NAME}-{name}": replace(PAPER, **size)  # type: ignore[arg-type]
        for name, size in _SIZES.items()
        if name != "base"
    },
}
"""Named sizes: the paper's four and one for tests, each real-time and as the paper has it."""


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

    The mains notches may differ where they lie above the low-pass.

    Raises
    ------
    BadInputError
        With the setting, both values and the remedy.
    """
    lines = (*config.preprocess.line_hz, *preprocess.line_hz)
    harmless = all(line > config.preprocess.low_pass_hz for line in lines)
    free = {"line_hz", "notch_q"} if harmless else set()
    pairs = [
        (f"preprocess.{f.name}", getattr(config.preprocess, f.name), getattr(preprocess, f.name))
        for f in fields(PreprocessConfig)
        if f.name not in free
    ]
    pairs += [
        ("token.window_s", config.window_s, token.window_s),
        ("token.hop_s", config.hop_s, token.hop_s),
    ]
    wrong = [(name, trained, asked) for name, trained, asked in pairs if trained != asked]
    if wrong:
        said = "; ".join(f"{n} = {t!r} but the session has {a!r}" for n, t, a in wrong)
        what = f"{wrong[0][0]} to {wrong[0][1]!r}" if len(wrong) == 1 else "these (--config FILE)"
        raise BadInputError(
            f"the model was trained with {said}: set {what} or choose another model "
            "(--model ar needs none)."
        )
