"""`images.NAME.build`: what is refused with its position, and what becomes of it as a request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.golden import compare
from wholecard.core import Finding, Severity, UsageError
from wholecard.core.units import GIB
from wholecard.guest.image.build_request import Base, recipe_sha256
from wholecard.guest.image.profile import Profile, ProfileSettings
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.site.build_requests import build_request, built_name
from wholecard.site.load import SiteFile
from wholecard.site.model import SiteImage

Read = Callable[[str], SiteFile]

# What a site file has at `build`; what is said of each is in the golden file.
WRONG = [
    "{os: debian-13}",
    "{from: a, os: Debian 13}",
    "{from: a, os: debian}",
    "{form: a, from: a, os: debian-13}",
    "{from: a, os: arch-1}",
    "{from: 'https://a/b', os: debian-13}",
    "{from: 'https://u:p@a/b', os: debian-13, sha256: " + "a" * 64 + "}",
    "{from: 'ftp://a/b', os: debian-13}",
    "{from: a, os: debian-13, mirrors: ['https://a']}",
    "{from: a, os: debian-13, sha256: ABC}",
    "{from: a, os: debian-13, sha256: SHA256:" + "AB" * 32 + "}",
    "{from: a, os: debian-13, size: 0}",
    "{from: a, os: debian-13, size: 99999}",
    "{from: a, os: debian-13, size: all}",
    "{from: a, os: debian-13, profiles: [nvidea]}",
    "{from: a, os: debian-13, packages: ['a b', '--yes']}",
    "{from: a, os: debian-13, run: [ls]}",
    "{from: a, os: debian-13, run: [[]]}",
    "{from: a, os: debian-13, files: {etc/a: {content: x}}}",
    "{from: a, os: debian-13, files: {/a/../b: {content: x}}}",
    "{from: a, os: debian-13, files: {/a: {}}}",
    "{from: a, os: debian-13, files: {/a: {content: x, source: y}}}",
    "{from: a, os: debian-13, files: {/a: {content: x, mode: rw}}}",
    "{from: a, os: debian-13, driver: {modules: closed}}",
    "{from: a, os: debian-13, driver: {branch: R580}}",
    "{from: a, os: debian-13, repositories: {../r: {uri: 'https://a'}}}",
    "{from: a, os: debian-13, repositories: {r: {uri: a}}}",
    "{from: a, os: debian-13, repositories: {r: {}}}",
]


def test_refused(faults_of: Callable[[str], list[str]], minimal: str) -> None:
    """Each mistake is said with its position, and with a hint where one is known."""
    text = ""
    for build in WRONG:
        lines = faults_of(f"{minimal}images: {{i: {{build: {build}}}}}\n")
        text += f"{build}\n" + "".join(f"  {line}\n" for line in lines)
    compare("image-build-errors.txt", text, Path(__file__).parent / "golden")


def test_windows(faults_of: Callable[[str], list[str]], minimal: str) -> None:
    """An image of Windows is not built."""
    text = f"{minimal}images: {{i: {{os: windows, build: {{from: a, os: debian-13}}}}}}\n"
    assert "an image of Windows cannot be built" in faults_of(text)[0]


BUILD = """\
images:
  i:
    file: out/i.qcow2
    properties: {os_secure_boot: required}
    build:
      from: base.qcow2
      os: ubuntu-24.04
      size: 12
      run: [[systemctl, enable, a b]]
      hold: [dkms]
      packages: [dkms, htop=3]
      profiles: [nvidia]
      driver: {branch: 580, cuda: runtime}
      repositories: {r: {uri: "https://a/b", suites: [noble], components: [main], key: r.asc}}
      files:
        /etc/a: {content: "1\\n", mode: 0600, reason: it is needed}
        /etc/b: {source: b}
"""
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx\n"
WARNING = Finding("WC404", "image i", Severity.WARNING, "known", "")


def _steps(os: GuestOs, settings: ProfileSettings) -> tuple[Step, ...]:
    words = (os.name, *settings.cards, str(settings.secure_boot), settings.driver.branch or "",
             settings.driver.flavour, settings.driver.cuda)  # fmt: skip
    return (RunInGuest(words, "profile"),)


PROFILES = (Profile("nvidia", "", _steps, lambda _os, _settings: (WARNING,)),)


def test_request(read: Read, minimal: str, tmp_path: Path) -> None:
    """All of it becomes steps in their order; paths are relative to the site file's folder."""
    site = read(minimal + BUILD).site
    (tmp_path / "r.asc").write_text(KEY)
    (tmp_path / "b").write_bytes(b"\xff")
    request = build_request(site, "i", tmp_path, profiles=PROFILES)
    why = "the site file asks for it"
    assert request.recipe.steps == (
        WriteGuestFile("/etc/a", b"1\n", "it is needed", 0o600),
        WriteGuestFile("/etc/b", b"\xff", why),
        AddRepository("r", "https://a/b", why, ("noble",), ("main",), KEY),
        RunInGuest(("ubuntu-24.04", "10de:2330", "True", "580", "auto", "runtime"), "profile"),
        InstallPackages(("dkms", "htop=3"), why),
        HoldPackages(("dkms",), why),
        RunInGuest(("systemctl", "enable", "a b"), why),
    )
    assert request.base == Base(tmp_path / "base.qcow2")
    assert (request.size, request.output) == (12 * GIB, tmp_path / "out/i.qcow2")
    assert request.findings == (WARNING,)
    assert request.room.unknown == ("htop",)


def test_address(read: Read, minimal: str, tmp_path: Path) -> None:
    """An address comes with its checksum and its mirrors, and the file beside the site file."""
    text = f"""images:
  a/b: {{build: {{from: "https://a/b", sha256: {"a" * 64}, mirrors: ["file:///c"], os: rocky-9}}}}
"""
    request = build_request(read(minimal + text).site, "a/b", tmp_path)
    assert request.base == Base(None, ("https://a/b", "file:///c"), "a" * 64)
    assert (request.size, request.output) == (None, tmp_path / "a-b.qcow2")
    assert built_name("x", SiteImage(file="y.img")) == "y.img"


MISSING = [
    ("nope", "i", "", "the site file has no image 'nope'"),
    ("plain", "i", "  plain: {}\n", "does not say how the image plain is built"),
    ("i", "r.asc", "", "cannot read .*r.asc"),
    ("i", "b", "", "cannot read .*/b"),
]


@pytest.mark.parametrize(("name", "absent", "more", "words"), MISSING)
def test_missing(
    read: Read, minimal: str, tmp_path: Path, name: str, absent: str, more: str, words: str
) -> None:
    """An image or a file that is not there is named."""
    site = read(minimal + BUILD + more).site
    (tmp_path / "r.asc").write_text(KEY)
    (tmp_path / "b").write_text("")
    (tmp_path / absent).unlink(missing_ok=True)
    with pytest.raises(UsageError, match=words):
        build_request(site, name, tmp_path, profiles=PROFILES)


@pytest.mark.parametrize(
    "content", [b"", b"\x99\x02\x0d", b"-----BEGIN PGP PRIVATE KEY BLOCK-----"]
)
def test_no_key(read: Read, minimal: str, tmp_path: Path, content: bytes) -> None:
    """What is no armored public key is refused: apt would not read it, or it is a secret."""
    (tmp_path / "r.asc").write_bytes(content)
    (tmp_path / "b").write_text("")
    with pytest.raises(UsageError, match="is not an ASCII-armored OpenPGP key"):
        build_request(read(minimal + BUILD).site, "i", tmp_path, profiles=PROFILES)


def test_profile_without_a_row(read: Read, minimal: str, tmp_path: Path) -> None:
    """A profile that this version does not have is an error."""
    (tmp_path / "r.asc").write_text(KEY)
    (tmp_path / "b").write_text("")
    with pytest.raises(UsageError, match="there is no profile 'nvidia'"):
        build_request(read(minimal + BUILD).site, "i", tmp_path, profiles=())


def test_identity(read: Read, minimal: str, tmp_path: Path) -> None:
    """The identity of a build changes with a file, a command, the size and the base, and with
    nothing that the image does not have."""
    (tmp_path / "r.asc").write_text(KEY)
    (tmp_path / "b").write_text("")

    def identity(old: str = "", new: str = "", base: str = "a") -> str:
        site = read(minimal + BUILD.replace(old, new)).site
        return recipe_sha256(build_request(site, "i", tmp_path, profiles=PROFILES), base)

    same = identity()
    assert identity("it is needed", "another reason") == same
    assert identity("out/i.qcow2", "other.qcow2") == same
    changes = [("0600", "0640"), ("a b", "a c"), ("size: 12", "size: 13"), ("htop=3", "htop=4")]
    others = {identity(*change) for change in changes} | {identity(base="b")}
    assert len(others) == 5
    assert same not in others
