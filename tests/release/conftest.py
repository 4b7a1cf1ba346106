"""The packages of this checkout, built once."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from build_deb import build_deb
from build_rpm import build_rpm
from staged_files import REPOSITORY

from support.wholecard_installed import EPOCH, MAINTAINER


def need(program: str) -> None:
    """Skip where a tool that only releases need is not there."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for Debian."""
    need("dpkg-deb")
    return build_deb(tmp_path_factory.mktemp("deb"), EPOCH, MAINTAINER)


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for EL."""
    need("rpmbuild")
    return build_rpm(tmp_path_factory.mktemp("rpm"), EPOCH)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as uv builds it."""
    need("uv")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        ["uv", "build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY], check=True
    )
    (built,) = folder.glob("*.whl")
    return built
