"""Settings of a session: frozen, typed, checked once at the edge, unknown keys refused.

A TOML file has one table for each field of :class:`SessionConfig`::

    [preprocess]
    high_pass_hz = 0.5
    line_hz = [50.0]

The same dataclasses are written into every recording, so that a replay has them all.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from rtbci.errors import BadInputError

T = TypeVar("T")


@dataclass(frozen=True)
class TimelineConfig:
    """De-jittering, gaps and the watchdog.

    Attributes
    ----------
    bridge_s : float
        Gaps up to this length are bridged and flagged; longer ones begin a new segment.
    late_s, stalled_s, lost_s : float
        Seconds without rows until a source counts as late, stalled and lost.
    """

    bridge_s: float = 0.1
    late_s: float = 0.25
    stalled_s: float = 1.0
    lost_s: float = 2.0


@dataclass(frozen=True)
class PreprocessConfig:
    """The causal chain in front of the model: filters, reference, resampling, normalisation.

    Attributes
    ----------
    high_pass_hz, low_pass_hz : float
        Corners of the Butterworth filters.
    high_pass_order, low_pass_order : int
    line_hz : tuple of float
        Mains frequencies that are notched out.  Both by default: they lie above the low-pass,
        so the second notch costs nothing and nobody has to choose.
    reference : str
        ``none`` (as recorded), ``average`` (of the good electrodes), or names with commas.
    rate_hz : float
        Rate of the model.
    ema_s : float
        Time constant of the running mean and variance (FoME, arXiv 2409.12454).
    """

    high_pass_hz: float = 0.5
    low_pass_hz: float = 45.0
    high_pass_order: int = 2
    low_pass_order: int = 4
    line_hz: tuple[float, ...] = (50.0, 60.0)
    notch_q: float = 30.0
    reference: str = "none"
    rate_hz: float = 250.0
    ema_s: float = 10.0


@dataclass(frozen=True)
class HealthConfig:
    """When a channel is left out: judged once a token on the last ``window_s`` of raw signal.

    Attributes
    ----------
    window_s : float
    flat_uv : float
        Peak to peak below which a channel is flat, µV.
    railed_share : float
        Share of samples at full scale from which a channel is railed.
    noisy_uv : float
        Standard deviation after the causal filters above which a channel is noisy, µV.
    recover_s : float
        Seconds that a channel must be good before it is taken back.
    """

    window_s: float = 1.0
    flat_uv: float = 0.1
    railed_share: float = 0.1
    noisy_uv: float = 300.0
    recover_s: float = 2.0


@dataclass(frozen=True)
class TokenConfig:
    """How the stream is cut into tokens.

    Attributes
    ----------
    window_s : float
        Length of a token's window.
    hop_s : float
        A token every so often.
    history_s : float
        How much of the preprocessed signal the models may look back on (AR by Burg).
    """

    window_s: float = 1.0
    hop_s: float = 0.1
    history_s: float = 60.0


@dataclass(frozen=True)
class DecodeConfig:
    """From probabilities to decisions.

    Attributes
    ----------
    threshold : float
        A class is decided when its probability is at least this.
    trial_s : tuple of float
        Decodes whose windows lie in this interval after a cue decide its trial.
    """

    threshold: float = 0.7
    trial_s: tuple[float, float] = (0.5, 3.5)


@dataclass(frozen=True)
class OutputConfig:
    """What leaves the program while it runs.

    Attributes
    ----------
    ttl_s : float
        Time to live of a decode: a receiver goes neutral when none came for so long.
    heartbeat_s : float
        Seconds between heartbeats.
    """

    ttl_s: float = 0.5
    heartbeat_s: float = 0.1


@dataclass(frozen=True)
class SessionConfig:
    """All settings of a session that can change a result or what is written."""

    timeline: TimelineConfig = field(default_factory=TimelineConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    token: TokenConfig = field(default_factory=TokenConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    forecast: Literal["direct", "rollout"] = "direct"


def to_dict(config: Any) -> dict[str, Any]:
    """Plain values of a config dataclass, ready for JSON or TOML."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Build a config dataclass from plain values.

    Parameters
    ----------
    cls : type
        A dataclass of this module (or one built like them).
    values : dict
        As TOML or JSON gives them; what is missing keeps its default.
    where : str
        Named in errors.

    Raises
    ------
    BadInputError
        On an unknown key or a value of the wrong type, with the key and what is allowed.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise BadInputError(
            f"{where} has no setting {unknown[0]!r}; it knows: {', '.join(sorted(fields))}."
        )
    made = {k: _coerce(hints[k], v, f"{where}.{k}") for k, v in values.items()}
    return cls(**made)


def load_config(path: Path) -> SessionConfig:
    """Read a TOML file of settings.

    Raises
    ------
    BadInputError
        Where the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as err:
        raise BadInputError(f"config file {path} can't be read: {err.strerror}.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise BadInputError(f"config file {path} is not valid TOML: {err}.") from err
    return check(from_dict(SessionConfig, values, str(path)), str(path))


def check(config: SessionConfig, where: str = "config") -> SessionConfig:
    """Refuse settings that no session can run with; give the config back.

    Raises
    ------
    BadInputError
        With the setting, its value and what is allowed.
    """
    token, preprocess, decode = config.token, config.preprocess, config.decode
    hop = round(token.hop_s * preprocess.rate_hz)
    wanted = [
        (preprocess.rate_hz > 0, "preprocess.rate_hz", preprocess.rate_hz, "above 0"),
        (hop >= 1, "token.hop_s", token.hop_s, "at least one sample"),
        (token.window_s >= token.hop_s, "token.window_s", token.window_s, "at least token.hop_s"),
        (
            token.history_s >= token.window_s + token.hop_s,
            "token.history_s",
            token.history_s,
            "at least token.window_s and token.hop_s together",
        ),
        (0 < decode.threshold <= 1, "decode.threshold", decode.threshold, "above 0, at most 1"),
        (
            0 <= decode.trial_s[0] < decode.trial_s[1],
            "decode.trial_s",
            decode.trial_s,
            "two times after the cue, the later one last",
        ),
        (
            config.timeline.bridge_s >= 0,
            "timeline.bridge_s",
            config.timeline.bridge_s,
            "0 or more",
        ),
    ]
    for right, name, value, allowed in wanted:
        if not right:
            raise BadInputError(f"{where}.{name} is {value}, but must be {allowed}.")
    return config


def _coerce(hint: Any, value: Any, where: str) -> Any:
    """Check one plain value against its type hint; lists become tuples, ints become floats."""
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise BadInputError(f"{where} must be a table, got {value!r}.")
        return from_dict(typing.cast(type[Any], hint), value, where)
    if origin is Literal:
        if value not in typing.get_args(hint):
            allowed = ", ".join(map(repr, typing.get_args(hint)))
            raise BadInputError(f"{where} must be one of {allowed}, got {value!r}.")
        return value
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _coerce(next(o for o in options if o is not type(None)), value, where)
    if origin is tuple:
        args = typing.get_args(hint)
        if not isinstance(value, list | tuple):
            raise BadInputError(f"{where} must be a list, got {value!r}.")
        variadic = len(args) == 2 and args[1] is Ellipsis
        if not variadic and len(value) != len(args):
            raise BadInputError(f"{where} must have {len(args)} values, got {value!r}.")
        kinds = [args[0]] * len(value) if variadic else args
        return tuple(
            _coerce(k, v, f"{where}[{i}]")
            for i, (k, v) in enumerate(zip(kinds, value, strict=True))
        )
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or value in (float("inf"), float("-inf")):
            raise BadInputError(f"{where} must be a finite number, got {value!r}.")
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (bool, str) and isinstance(value, hint):
        return value
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]
    raise BadInputError(f"{where} must be {wanted}, got {value!r}.")
