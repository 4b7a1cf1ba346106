"""A plan's built images against the site file of today."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.cloud.planning.built_images import outdated_images
from wholecard.cloud.planning.current import ImageFile
from wholecard.guest.image.build_record import BuildRecord, record_path, record_text
from wholecard.guest.image.build_request import recipe_sha256
from wholecard.site.build_requests import build_request
from wholecard.site.load import SiteFile, read_site

SITE = """\
release: 2026.2
cards: {h100: {match: [{vendor: 10de, product: 2330}]}}
images:
  i: {build: {from: base.qcow2, os: debian-13, packages: [%s], files: {/a: {source: a}}}}
  theirs: {file: other.qcow2}
"""
SHA256, BASE = "a" * 64, "b" * 64


@pytest.fixture
def site(tmp_path: Path) -> SiteFile:
    """A site whose image was built with the package `htop`, with the record of that build."""
    (tmp_path / "a").write_text("")
    path = tmp_path / "site.yaml"
    path.write_text(SITE % "htop")
    file = read_site(path)
    recipe = recipe_sha256(build_request(file.site, "i", tmp_path), BASE)
    record = BuildRecord("i", "debian-13", recipe, "base.qcow2", BASE, 1, "none", None, (),
                         SHA256, 4, "now")  # fmt: skip
    record_path(tmp_path / "i.qcow2").write_text(record_text(record))
    return file


def said(file: SiteFile, sha256: str = SHA256) -> list[str]:
    """What is said of the images' files, of which the built one has this SHA-256."""
    files = {name: ImageFile(str(file.path.parent / f"{name}.qcow2"), sha256, "qcow2")
             for name in ("i", "theirs")}  # fmt: skip
    findings = list(outdated_images(file, files))
    assert {finding.rule for finding in findings} <= {"WC414"}
    return [finding.message.replace(f"{file.path.parent}/", "") for finding in findings]


def test_what_the_site_asks_for(site: SiteFile) -> None:
    """Nothing is said of an image as it is asked for, of one without a file, or a record."""
    assert said(site) == []
    assert list(outdated_images(site, {})) == []
    record_path(site.path.parent / "i.qcow2").unlink()
    assert said(site) == []


def test_what_it_does_not(site: SiteFile) -> None:
    """A file that was changed, and a site file that was, are warnings of the plan."""
    assert said(site, "c" * 64) == [
        "i.qcow2 is not the file that was built: its SHA-256 differs from the record's."
    ]
    site.path.write_text(SITE % "tmux")
    other = read_site(site.path)
    assert said(other) == ["i.qcow2 was built from another recipe than the site file has today."]
    (site.path.parent / "a").unlink()
    (message,) = said(other)
    assert message.startswith("i.qcow2 cannot be compared with what the site file asks for: cannot")
