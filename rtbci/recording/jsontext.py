"""JSON as recordings hold it: floats to the last bit, NaN as null, whole lines or none."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtbci.errors import RecordingError


def plain(value: Any) -> Any:
    """Make plain values of anything: NaN becomes null, infinities the text ``inf``, ``-inf``."""
    if isinstance(value, float):  # a numpy float64 is one, too
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else str(float(value))
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return str(value)


def number(value: Any) -> float:
    """Read back a float that :func:`plain` wrote."""
    return math.nan if value is None else float(value)


def line(value: Any) -> bytes:
    """One line of JSON.

    Python writes the shortest text that reads back as the same float64, so nothing is lost.
    """
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def write_json(path: Path, value: Any) -> None:
    """Write a whole JSON file, or leave the one that is there: never half of one."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)
    write_whole(path, text.encode("utf-8", "backslashreplace") + b"\n")


def write_whole(path: Path, content: bytes) -> None:
    """Put a whole file in its place in one step, after it has reached the disk."""
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    RecordingError
        Where it is missing, or damaged.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as err:
        raise RecordingError(f"{path} can't be read: {err.strerror}.") from err
    except ValueError as err:
        raise RecordingError(
            f"{path} is damaged ({err}), and without it the recording can't be understood; "
            "take it from a backup."
        ) from err
    if not isinstance(value, dict):
        raise RecordingError(f"{path} is damaged: it holds no JSON object.")
    return value


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the whole lines of a file of JSON objects; a torn line at the end is left out.

    Raises
    ------
    RecordingError
        Where a line before the end is damaged.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:  # line by line: the decodes of hours need not fit into memory
        for count, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                return
            try:
                yield json.loads(text)
            except ValueError as err:
                raise RecordingError(f"line {count} of {path} is damaged: {err}.") from err


def whole_lines(content: bytes) -> int:
    """Bytes up to the end of the last whole line."""
    return content.rfind(b"\n") + 1
