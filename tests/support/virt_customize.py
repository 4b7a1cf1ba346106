"""A stand-in for virt-customize: files go into the image's ext4 by debugfs, commands into a log.

It takes the options that virt-customize(1) has and no others, in their order.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.disk_images import ROOT_START, SECTOR

_FAKE = f"""#!{sys.executable}
import os, subprocess, sys
words = sys.argv[1:]
log = open(os.environ["CUSTOMIZED"], "a")
if words == ["--version"]:
    print("virt-customize 1.52.0")
    sys.exit()
image = None
def debugfs(*requests):
    target = image + "?offset={ROOT_START * SECTOR}"
    text = "\\n".join(requests) + "\\n"
    subprocess.run(["/usr/sbin/debugfs", "-w", "-f", "-", target], input=text, text=True,
                   check=True, capture_output=True)
while words:
    option = words.pop(0)
    if option == "--selinux-relabel":
        continue
    value = words.pop(0)
    if option == "-a":
        image = value
    elif option == "--mkdir":
        parts = [part for part in value.split("/") if part]
        debugfs(*("mkdir /" + "/".join(parts[:n]) for n in range(1, len(parts) + 1)))
    elif option == "--upload":
        local, path = value.split(":", 1)
        debugfs("rm " + path, "write " + local + " " + path)
    elif option == "--chmod":
        mode, path = value.split(":", 1)
        debugfs("set_inode_field " + path + " mode 010" + mode)
    elif option in ("--run", "--run-command"):
        print("[   1.0] Running: " + value, flush=True)
        if option == "--run":
            value = open(value).read().removeprefix("#!/bin/sh\\n").strip()
        log.write(value + "\\n")
        if os.environ.get("FAILS_AT", "\\0") in value:
            print("E: Unable to locate package", flush=True)
            sys.exit("virt-customize: error: " + value + ": command exited with an error")
    elif option == "--truncate":
        log.write("truncate " + value + "\\n")
    elif option not in ("--format", "--memsize"):
        sys.exit("unknown option " + option)
"""


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it on PATH, from `folder`; the file that gets the commands."""
    program = folder / "virt-customize"
    program.write_text(_FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    log = folder / "customized"
    log.touch()
    monkeypatch.setenv("CUSTOMIZED", str(log))
    return log
