"""The collection as a release has it, built and installed once."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_collection import build_collection

from support.ansible_core import Ansible
from support.wholecard_installed import EPOCH


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection's archive."""
    return build_collection(tmp_path_factory.mktemp("collection"), EPOCH)


@pytest.fixture(scope="session")
def ansible(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    """Ansible with the archive installed as a person installs it."""
    made = Ansible(tmp_path_factory.mktemp("ansible"))
    made.run("ansible-galaxy", "collection", "install", "--offline", archive, "-p",
             made.collections)  # fmt: skip
    return made
