"""A function's driver, changed while the host runs: a module loaded, a driver bound by address.

Source: linux, Documentation/ABI/testing/sysfs-bus-pci (`driver_override`, `unbind`, `bind`,
`drivers_probe`). `new_id` is not used: it takes every function with the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import WholecardError
from wholecard.pci.sysfs import DEVICES, read_text
from wholecard.transaction import syscalls
from wholecard.transaction.os_errors import naming

DRIVERS = Path("sys/bus/pci/drivers")
PROBE = Path("sys/bus/pci/drivers_probe")


@dataclass(frozen=True)
class BindDriver:
    """Give the function at `address` to `driver`, if its ids are `vendor` and `device`.

    `former_driver` and `former_override` are what it has when the plan is made, None for none.
    The binding lasts until the host goes down; at the next boot the initramfs decides.
    """

    address: str
    driver: str
    vendor: str
    device: str
    former_driver: str | None = None
    former_override: str | None = None

    def describe(self) -> str:
        """`0000:01:00.1 8086:293e: snd_hda_intel -> vfio-pci`."""
        return (
            f"{self.address} {self.vendor}:{self.device}: "
            f"{self.former_driver or 'no driver'} -> {self.driver} (driver_override, until reboot)"
        )

    def to_json(self) -> dict[str, Any]:
        """`{"op": "bind-driver", ...}` with the fields."""
        return {"op": "bind-driver", **self.__dict__}

    def run(self, root: Path) -> None:
        """Bind it and read the link back. Raises WholecardError where another driver has it."""
        self._refuse_stranger(root)
        set_override(root, self.address, self.driver)
        if driver_of(root, self.address) == self.driver:
            return
        unbind(root, self.address)
        _tell(root / PROBE, self.address)
        found = driver_of(root, self.address)
        if found != self.driver:
            raise WholecardError(
                f"{self.address} is on {found or 'no driver'}, not on {self.driver}",
                "The kernel was asked to probe it anew and did not bind it.",
                "See what the kernel says (dmesg).",
            )

    def undo(self, root: Path) -> None:
        """Give it back to what had it. Raises WholecardError where that does not take it."""
        self._refuse_stranger(root)
        set_override(root, self.address, self.former_override)
        if driver_of(root, self.address) == self.former_driver:
            return
        unbind(root, self.address)
        if self.former_driver is None:
            return
        home = root / DRIVERS / self.former_driver
        if not home.is_dir():
            raise WholecardError(
                f"{self.address} has no driver now: its former driver {self.former_driver} is not "
                "loaded",
                resolution=f"Load it (modprobe {self.former_driver}).",
            )
        # By name, for a probe would ask every driver that knows the ids.
        _tell(home / "bind", self.address)
        found = driver_of(root, self.address)
        if found != self.former_driver:
            raise WholecardError(
                f"{self.address} is on {found or 'no driver'}, not on {self.former_driver} again",
                resolution="See what the kernel says (dmesg).",
            )

    def _refuse_stranger(self, root: Path) -> None:
        place = root / DEVICES / self.address
        found = [read_text(place / name) for name in ("vendor", "device")]
        if found != [f"0x{self.vendor}", f"0x{self.device}"]:
            raise WholecardError(
                f"{self.address} is not {self.vendor}:{self.device}",
                f"sysfs says {' '.join(found).strip() or 'nothing'}.",
                "See where the card is (inspect).",
            )


def in_root(root: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command as it is run for `root`: in it, where that is another tree than `/`."""
    return argv if root == Path("/") else ("chroot", str(root), *argv)


def driver_of(root: Path, address: str) -> str | None:
    """The driver that has the function now, None for none."""
    try:
        return (root / DEVICES / address / "driver").readlink().name
    except OSError:
        return None


def override_of(root: Path, address: str) -> str | None:
    """The function's `driver_override` now; the kernel prints none as `(null)`."""
    text = read_text(root / DEVICES / address / "driver_override")
    return text if text not in ("", "(null)") else None


def set_override(root: Path, address: str, driver: str | None) -> None:
    """Set or clear `driver_override`, unless it is so."""
    if override_of(root, address) != driver:
        # A newline alone clears it; an empty write would not reach the kernel.
        _tell(root / DEVICES / address / "driver_override", driver or "\n")


def unbind(root: Path, address: str) -> None:
    """Take the function from its driver, if it has one."""
    if driver_of(root, address) is not None:
        _tell(root / DEVICES / address / "driver" / "unbind", address)


def _tell(path: Path, text: str) -> None:
    with naming(path):
        syscalls.write_sysfs(path, text)
