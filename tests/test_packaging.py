"""What a user installs: one top-level package, with its data, from folders at the top level."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import rtbci.apps
import rtbci.calibration
import rtbci.models

ROOT = Path(__file__).resolve().parents[1]
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel({out!r}))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing is left in the tree."""
    copy = tmp_path_factory.mktemp("copy") / "rtbci"
    shutil.copytree(
        ROOT,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns(".git", "*.egg-info", "__pycache__", ".*_cache", "build"),
    )
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-c", BUILD.format(out=str(out))],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_folders_at_the_top_level_are_the_packages() -> None:
    for module, folder in (
        (rtbci.models, "models"),
        (rtbci.apps, "apps"),
        (rtbci.calibration, "calibration"),
    ):
        assert module.__file__ is not None
        assert Path(module.__file__).resolve().parent.name == folder
        assert Path(module.__file__).resolve().parent.parent == ROOT


def test_the_wheel_holds_one_top_level_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rtbci"}


def test_the_wheel_holds_all_that_runs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for top, inside in (
        ("rtbci", "rtbci"),
        ("models", "rtbci/models"),
        ("apps", "rtbci/apps"),
        ("calibration", "rtbci/calibration"),
    ):
        for path in (ROOT / top).rglob("*"):
            wanted = path.suffix in (".py", ".tsv", ".safetensors", ".md", ".typed")
            linked = any(part.is_symlink() for part in (path, *path.parents) if part != ROOT)
            if wanted and not linked:
                assert f"{inside}/{path.relative_to(ROOT / top).as_posix()}" in held


def test_the_command_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"rtbci": "rtbci.apps.entry:main"}


def test_no_document_names_what_users_do_not_have() -> None:
    below = [path for top in ("docs", "models") for path in (ROOT / top).rglob("*.md")]
    for path in [*ROOT.glob("*.md"), *below]:
        assert "../shared" not in path.read_text(), path
