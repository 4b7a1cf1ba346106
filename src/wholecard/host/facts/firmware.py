"""What started the host and what it runs: firmware, secure boot, distribution.

Sources: UEFI specification 3.3, "SecureBoot"; linux, Documentation/filesystems/efivarfs.rst (four
bytes of attributes, then the value); os-release(5).
"""

from __future__ import annotations

from wholecard.core.small_files import exists, read_bytes, read_text, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root

EFI = "sys/firmware/efi"
SECURE_BOOT = f"{EFI}/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")


def read_firmware(root: Root) -> str | None:
    """`uefi` or `bios`; None in a tree that is not a running host."""
    if exists(under(root, EFI)):
        return "uefi"
    return "bios" if exists(under(root, "sys/firmware")) else None


def read_secure_boot(root: Root) -> bool | None:
    """Whether the firmware checked what it started; None where that cannot be read."""
    value = read_bytes(under(root, SECURE_BOOT))
    return value[4] == 1 if value is not None and len(value) == 5 else None


def read_distribution(root: Root) -> tuple[str, str]:
    """`debian 13` and what it is like (`rhel centos fedora`); empty where os-release lacks it."""
    values: dict[str, str] = {}
    texts = (read_text(under(root, path)) for path in OS_RELEASE)
    for line in next(filter(None, texts), "").splitlines():
        name, _, value = line.partition("=")
        values[name.strip()] = value.strip().strip("\"'")
    name = f"{values.get('ID', '')} {values.get('VERSION_ID', '')}".strip()
    return name, values.get("ID_LIKE", "")
