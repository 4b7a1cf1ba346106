"""The recipe as user data of a server, read back as cloud-init reads it."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from support.golden import compare
from wholecard.core import UsageError
from wholecard.guest.image.cloud_config import MOST_BYTES, CloudConfig, user_data
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "cloud_config_schema.json").read_text())
DEBIAN = GuestOs("debian", "13")
STEPS: tuple[Step, ...] = (
    WriteGuestFile("/etc/modprobe.d/nouveau.conf", b"blacklist nouveau\n", "nouveau is in the way"),
    AddRepository("cuda", "https://a.example", "CUDA", ("/",), (), "-----BEGIN\nKEY\n"),
    InstallPackages(("dkms", "a=1:2"), "the driver"),
    WriteGuestFile("/usr/local/bin/report", b"\x7fELF\xff", "the agent", 0o755),
    HoldPackages(("dkms",), "another branch would not fit"),
    RunInGuest(("sh", "-c", "echo 'a b' > \"$HOME\"/c"), "a command with quotes"),
)


def documents(text: str) -> Any:
    """The user data as cloud-init parses it, held against its own schema."""
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    jsonschema.validate(document, SCHEMA)
    return document


def test_golden() -> None:
    """The user data of a recipe with every kind of step."""
    text = user_data(Recipe(DEBIAN, STEPS))
    documents(text)
    compare("user-data.yaml", text, HERE / "golden")


def shellified(commands: list[list[str]]) -> str:
    """The script that cloud-init makes of runcmd's lists (cloudinit/util.py, shellify)."""
    lines = [" ".join(shlex.quote(word) for word in words) for words in commands]
    return "#!/bin/sh\n" + "\n".join(lines) + "\n"


def test_order(tmp_path: Path) -> None:
    """A file that follows a command gets its place after that command, though cloud-init writes it
    before, and each file has its content and mode."""
    target = tmp_path / "f"
    steps = (
        RunInGuest(("sh", "-c", f"echo package > {target}"), ""),
        WriteGuestFile(str(target), b"ours\n", "", 0o640),
        RunInGuest(("cp", str(target), str(tmp_path / "seen")), ""),
    )
    document = documents(user_data(Recipe(DEBIAN, steps)))
    text = shellified(document["runcmd"]).replace("/var/lib/wholecard", f"{tmp_path}/var")
    for file in document["write_files"]:
        path = Path(file["path"].replace("/var/lib/wholecard", f"{tmp_path}/var"))
        path.parent.mkdir(parents=True)
        path.write_text(file["content"])
    subprocess.run(["sh", "-s"], input=text, text=True, check=True)
    assert (tmp_path / "seen").read_text() == "ours\n"
    assert target.stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "var/first-boot").exists()


def test_stops_at_a_failure(tmp_path: Path) -> None:
    """After a command that fails none is run, as when an image is built."""
    steps = (RunInGuest(("false",), ""), RunInGuest(("touch", str(tmp_path / "f")), ""))
    text = shellified(documents(user_data(Recipe(DEBIAN, steps)))["runcmd"])
    assert subprocess.run(["sh", "-s"], input=text, text=True, check=False).returncode == 1
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("content", [
    b"", b"plain\n", b"no end", b"\r\n", b"tab\there\n", b"\xff\xfe", b"\0", b": {[\n- x\n",
    b" leading\n\n\ntrailing  \n\n", "\u00e4\u2028\ufeff".encode(), b"#cloud-config\n",
])  # fmt: skip
def test_content_is_kept(content: bytes) -> None:
    """A file's bytes come out of the YAML as they went in."""
    step = WriteGuestFile("/f", content, "a\nreason: of\ttwo lines")
    file = documents(user_data(Recipe(DEBIAN, (step,))))["write_files"][0]
    text = file["content"]
    assert (base64.b64decode(text) if "encoding" in file else text.encode()) == content


def test_nothing_to_do() -> None:
    """A recipe without steps is user data that cloud-init takes and does nothing with."""
    assert documents(user_data(Recipe(DEBIAN, ()))) == {}


def test_too_large(tmp_path: Path) -> None:
    """What nova would refuse is refused, and no file is left."""
    step = WriteGuestFile("/f", b"x" * MOST_BYTES, "")
    with pytest.raises(UsageError, match=f"nova takes at most {MOST_BYTES}"):
        CloudConfig().write(Recipe(DEBIAN, (step,)), tmp_path / "user-data", print)
    assert not list(tmp_path.iterdir())
