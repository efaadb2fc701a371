"""BrainFlow as we call it: loaded quietly, its parameters from text, its errors as sentences."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

from rtbci.errors import BadInputError, SourceError


@functools.cache
def load_brainflow() -> Any:
    """Import BrainFlow's board module, with its log off (it would write over the display).

    Raises
    ------
    SourceError
        Where its library is not there or does not load on this system.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which says it is deprecated
        try:
            from brainflow import board_shim

            board_shim.BoardShim.disable_board_logger()
        except (ImportError, OSError) as err:
            raise SourceError(
                f"BrainFlow can't be loaded ({err}); boards need it, so install it again with "
                "`pip install --force-reinstall brainflow`."
            ) from err
    return board_shim


def input_params(serial_port: str | None, params: Mapping[str, str]) -> Any:
    """Build BrainFlow's input parameters from plain text.

    Parameters
    ----------
    serial_port : str | None
    params : mapping of str to str
        BrainFlow's own names (``ip_address``, ``mac_address``, ``file``).

    Raises
    ------
    BadInputError
        On a name that BrainFlow does not have, or text where it wants a number.
    """
    made = load_brainflow().BrainFlowInputParams()
    if serial_port is not None:
        made.serial_port = serial_port
    known = sorted(vars(made))
    for key, text in params.items():
        if key not in known:
            raise BadInputError(
                f"Boards have no parameter {key!r}; BrainFlow knows: {', '.join(known)}."
            )
        if isinstance(getattr(made, key), int):
            try:
                setattr(made, key, int(text))
            except ValueError as err:
                raise BadInputError(
                    f"Board parameter {key} must be a whole number, got {text!r}."
                ) from err
        else:
            setattr(made, key, text)
    return made


def explain(err: Exception, board: str, way: str, path: str | None) -> str:
    """Turn an error of BrainFlow into a sentence that says what to do.

    Parameters
    ----------
    err : Exception
        A ``BrainFlowError``.
    board : str
        BrainFlow's name.
    way : str
        How the board is reached (``serial port``).
    path : str | None
        Its port, where it has one.
    """
    code = int(getattr(err, "exit_code", 17))
    name = board.removesuffix("_BOARD").lower()
    where = f" on {path}" if path else ""
    if code in (1, 2, 3):
        return (
            f"BrainFlow can't open {name}{where}; close other programs that use it, and check "
            "--serial-port (`rtbci boards` lists the ports)."
        )
    if code == 7:
        return (
            f"{name}{where} answers nothing that BrainFlow understands; switch the board on, "
            "check its battery, and that nothing else is connected to it."
        )
    if code == 13:
        if "serial" in way or "dongle" in way:
            need = "--serial-port PATH (`rtbci boards` lists the ports)"
        else:
            need = "--board-param KEY=VALUE (mac_address, ip_address, serial_number or file)"
        return f"{name} is reached by {way}, and BrainFlow needs to know where: give {need}."
    if code == 16:
        return f"{name}{where} is already open in this program; close it there first."
    if code == 14:
        return f"BrainFlow can't use {name} on this system; see its documentation for where it can."
    return (
        f"BrainFlow lost or can't use {name}{where} ({err}); switch the board off and on, plug it "
        "in again, and retry."
    )


def stop(shim: Any) -> None:
    """Stop a board and release it; one that is gone refuses the first, as is to be expected."""
    for step in (shim.stop_stream, shim.release_session):
        try:
            step()
        except load_brainflow().BrainFlowError:
            continue
