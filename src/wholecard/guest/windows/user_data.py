"""User data that makes a stock Windows a guest with a card: virtio, the card's driver, the report.

cloudbase-init runs it as PowerShell by its first line, and restarts Windows where it ends with 1003
(cloudbase-init 1.1.9: plugins/common/userdatautils.py, plugins/common/execcmd.py). A byte order
mark before that line, and it is not recognised.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from wholecard.core import UsageError
from wholecard.guest.agent.files import MAX_USER_DATA, agent_text

FIRST_LINE = "#ps1_sysnative"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
_URL = re.compile(r"https?://[!-~]+")
# A drive's letter, or * for any drive, and a path; no character that a Windows path cannot have.
_PATH = re.compile(r'[A-Za-z*]:\\[^\x00-\x1f<>:"|?*]{1,240}')
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_LINE = re.compile(r"[ -~]{0,500}")
# Silent installation, as their documentation has it: virtio-win-guest-tools.exe is a WiX bundle
# (WiX Toolset, "Burn bundle command line"); NVIDIA, "Data Center GPU Driver installation on
# Windows", silent installation.
VIRTIO_ARGUMENTS = "/install /quiet /norestart"
NVIDIA_ARGUMENTS = "-s -noreboot -clean"


@dataclass(frozen=True)
class Installer:
    """A program that Windows runs once, silently, before a restart.

    `source` is a URL or a path; `*:\\file` is on any drive. `sha256` is the file's, needed for a
    URL. `arguments` go to an .exe, or are added to msiexec's or pnputil's. Raises UsageError for
    what cannot be written into the script.
    """

    name: str
    source: str
    sha256: str = ""
    arguments: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"{self.name!r} is no name of an installer")
        is_url = bool(_URL.fullmatch(self.source))
        if not is_url and not _PATH.fullmatch(self.source):
            raise UsageError(
                f"{self.source[:200]!r} is neither a URL nor a path of Windows",
                resolution=r"Write https://…/file.exe, D:\file.exe, or *:\file.exe for any drive.",
            )
        if is_url and not self.sha256:
            raise UsageError(
                f"{self.source} is downloaded, and nothing says what it must be",
                resolution=f"Give its checksum: --{self.name}-sha256 (sha256sum FILE prints it).",
            )
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise UsageError(
                f"{self.sha256[:80]!r} is no SHA-256",
                resolution="It has 64 hexadecimal digits.",
            )
        if not _LINE.fullmatch(self.arguments):
            raise UsageError("the arguments have a character that is not printable ASCII")

    def powershell(self) -> str:
        """The installer as a hashtable of the script."""
        fields = (("Name", self.name), ("Source", self.source), ("Sha256", self.sha256),
                  ("Arguments", self.arguments))  # fmt: skip
        return "@{ " + "; ".join(f"{key} = {quoted(value)}" for key, value in fields) + " }"


def quoted(text: str) -> str:
    """A text as PowerShell reads it unchanged: in single quotes, of which one inside is two."""
    return "'" + text.replace("'", "''") + "'"


def windows_user_data(installers: Iterable[Installer]) -> str:
    """The script, in lines as Windows has them, without a byte order mark.

    The agent at its end reports to a proof, whose nonce is in the server's metadata. Raises
    UsageError where nova would refuse its length.
    """
    listed = "".join(f"    {installer.powershell()}\n" for installer in installers)
    setup = resources.files("wholecard.guest.windows").joinpath("setup.ps1").read_text("utf-8")
    text = f"{FIRST_LINE}\n$Installers = @(\n{listed})\n{setup}{agent_text('windows')}"
    script = text.replace("\n", "\r\n")
    length = len(base64.b64encode(script.encode()))
    if length > MAX_USER_DATA:
        raise UsageError(
            f"the script is too long for user data: {length} of {MAX_USER_DATA} characters"
        )
    return script
