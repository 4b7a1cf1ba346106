"""The initramfs tools that Wholecard knows, one row each: a new one is a file beside this, a row.

inspect imports this file; what plans a change is imported when it is asked.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.small_files import has_all, has_any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wholecard.core.small_files import Root
    from wholecard.host.operations.config_change import ConfigChange


@dataclass(frozen=True)
class InitramfsTool:
    """One initramfs tool: `is_installed` says whether a root has it; `tools` what is looked for.

    `file` is the module beside this one whose `change` puts the claim into the images.
    """

    name: str
    tools: str
    is_installed: Callable[[Root], bool]
    file: str

    def change(self) -> ConfigChange:
        """The files of the claim, and the tool that makes the images."""
        module = __import__(f"wholecard.host.initramfs.{self.file}", fromlist=["change"])
        change: ConfigChange = module.change()
        return change


def initramfs_tool_named(name: str | None) -> InitramfsTool | None:
    """The tool of that name; None where Wholecard knows none."""
    return next((tool for tool in INITRAMFS_TOOLS if tool.name == name), None)


def find_initramfs_tools(root: Root) -> tuple[str, ...]:
    """The names of the initramfs tools under `root`, the one to be used first."""
    return tuple(tool.name for tool in INITRAMFS_TOOLS if tool.is_installed(root))


# Tools of other distributions, which an error names: Arch's two, Alpine's, Gentoo's.
_UNSUPPORTED = ("mkinitcpio", "booster", "mkinitfs", "genkernel")


def find_unsupported_tools(root: Root) -> tuple[str, ...]:
    """The initramfs tools under `root` that Wholecard does not support."""
    folders = ("usr/bin", "usr/sbin", "sbin")
    return tuple(
        tool for tool in _UNSUPPORTED if has_any(root, *(f"{folder}/{tool}" for folder in folders))
    )


def _has_initramfs_tools(root: Root) -> bool:
    # Debian's dracut brings an update-initramfs of its own, and initramfs-tools leaves its settings
    # behind when it is removed: beside dracut only mkinitramfs proves that it is installed.
    return has_all(root, "etc/initramfs-tools", "usr/sbin/update-initramfs") and (
        not _has_dracut(root) or has_all(root, "usr/sbin/mkinitramfs")
    )


def _has_dracut(root: Root) -> bool:
    return has_any(root, "usr/bin/dracut", "usr/sbin/dracut")


# In the order in which one is chosen where several are installed.
INITRAMFS_TOOLS = (
    InitramfsTool(
        "initramfs-tools",
        "update-initramfs with /etc/initramfs-tools",
        _has_initramfs_tools,
        "initramfs_tools",
    ),
    InitramfsTool("dracut", "dracut", _has_dracut, "dracut"),
)
