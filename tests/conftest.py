"""Fixtures and settings for all tests."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    deadline=None,  # two slow cores: a deadline would measure the machine
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("RTBCI_HYPOTHESIS", "ci"))
os.environ["RTBCI_FINE_TUNE"] = "0"  # no test leaves a process behind that it has not asked for
DISPLAYS = ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Only the window's own tests see a display: in others ``rtbci run`` would open one."""
    hidden = {} if "gui" in item.path.parts else {k: os.environ.pop(k, None) for k in DISPLAYS}
    try:
        return (yield)
    finally:
        os.environ.update({k: value for k, value in hidden.items() if value is not None})


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real recordings, from the environment variable RTBCI_DATA."""
    value = os.environ.get("RTBCI_DATA", "")
    if not value:
        pytest.skip("RTBCI_DATA is not set, so there are no real recordings to test on")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip(f"RTBCI_DATA names {folder}, which is no folder, so there are no recordings")
    return folder
