"""The agent's file for each system, and how it comes into an image or into user data.

In an image the agent starts at each boot and is silent unless the server's metadata has the nonce
of a proof. A stock image gets it as user data: cloud-init runs a `#!` script as root at the first
boot (cloud-init: "User-data scripts"), cloudbase-init one that begins with `#ps1_sysnative`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from wholecard.core import UsageError
from wholecard.guest.image.recipe import RunInGuest, Step, WriteGuestFile

SYSTEMS = ("linux", "windows")
AGENT_PATH = "/usr/local/sbin/wholecard-agent"
UNIT = "wholecard-agent.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
# nova's API takes user data of so many characters in base64 (nova 34,
# api/openstack/compute/schemas/servers.py: user_data, maxLength).
MAX_USER_DATA = 65535
_FILES = {"linux": "agent.sh", "windows": "agent.ps1"}
_NONCE = re.compile(r"[0-9a-f]{8,64}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


@dataclass(frozen=True)
class AgentRequest:
    """What one run asks of the agent.

    `nonce` is 8 to 64 hexadecimal digits; `bench` how many bodies wholecard-bench computes, 0: it
    does not run; `containers` how many run side by side; `container_image` an image that the guest
    has, empty: one is made of the guest's own programs. Raises UsageError for other values.
    """

    nonce: str
    bench: int = 0
    containers: int = 0
    container_image: str = ""

    def __post_init__(self) -> None:
        if not _NONCE.fullmatch(self.nonce):
            raise UsageError("a nonce has 8 to 64 hexadecimal digits")
        if not 0 <= self.bench <= 1 << 24:
            raise UsageError("the benchmark takes 1 to 16777216 bodies")
        if not 0 <= self.containers <= 100:
            raise UsageError("there can be 1 to 100 containers side by side")
        if self.container_image and not _IMAGE.fullmatch(self.container_image):
            raise UsageError(f"{self.container_image!r} is not the name of a container's image")

    def metadata(self) -> dict[str, str]:
        """The server's metadata, which its config drive has, for an agent in the image."""
        return {f"wholecard_{key}": value for key, value in self._values().items()}

    def environment(self) -> dict[str, str]:
        """The same as variables, for an agent in user data."""
        return {f"WHOLECARD_{key.upper()}": value for key, value in self._values().items()}

    def _values(self) -> dict[str, str]:
        values = {"nonce": self.nonce, "bench": str(self.bench or ""),
                  "containers": str(self.containers or ""),
                  "container_image": self.container_image}  # fmt: skip
        return {key: value for key, value in values.items() if value}


def agent_text(system: str) -> str:
    """The agent for `linux` (POSIX shell) or `windows` (PowerShell). Raises UsageError."""
    return _text(_FILES[_known(system)])


def unit_text() -> str:
    """The systemd unit that starts the agent in an image."""
    return _text(UNIT)


def install_steps() -> tuple[Step, ...]:
    """What puts the Linux agent into an image with systemd."""
    return (
        WriteGuestFile(AGENT_PATH, agent_text("linux").encode(),
                       "the agent reports the server's cards when `wholecard prove` asks", 0o755),
        WriteGuestFile(UNIT_PATH, unit_text().encode(), "the agent starts at each boot"),
        RunInGuest(("systemctl", "enable", UNIT), "the agent starts at each boot"),
    )  # fmt: skip


def user_data(system: str, request: AgentRequest) -> str:
    """User data for a stock image, in base64 as nova takes it: the agent and what is asked of it.

    Raises UsageError where nova would refuse its length.
    """
    data = base64.b64encode(script(system, request.environment()).encode()).decode()
    if len(data) > MAX_USER_DATA:
        raise UsageError(
            f"the agent is too long for user data: {len(data)} of {MAX_USER_DATA} characters",
            resolution="Put the agent into the image, and leave user data out.",
        )
    return data


def script(system: str, environment: Mapping[str, str]) -> str:
    """The agent with these variables set before its first command; values need no quoting."""
    text = agent_text(system)
    if system == "windows":
        set_first = "".join(f"$env:{key} = '{value}'\r\n" for key, value in environment.items())
        return "#ps1_sysnative\r\n" + set_first + text.replace("\n", "\r\n")
    first, _, rest = text.partition("\n")
    set_first = "".join(f"export {key}={value}\n" for key, value in environment.items())
    return f"{first}\n{set_first}{rest}"


def _known(system: str) -> str:
    if system not in _FILES:
        raise UsageError(f"there is no agent for {system}",
                         resolution=f"Choose one of {', '.join(SYSTEMS)}.")  # fmt: skip
    return system


def _text(name: str) -> str:
    return resources.files("wholecard.guest.agent").joinpath(name).read_text("utf-8")
