"""A function's driver, changed while the host runs: a module loaded, a driver bound by address.

Source: linux, Documentation/ABI/testing/sysfs-bus-pci (`driver_override`, `unbind`, `bind`,
`drivers_probe`). `new_id` is not used: it takes every function with the same ids.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step, UsageError, WholecardError
from wholecard.core.waiting import wait_until
from wholecard.host.operations import operation
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.pci import Address
from wholecard.pci.attributes import driver_name
from wholecard.pci.sysfs import DEVICES, read_text
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import under
from wholecard.transaction.json_fields import text
from wholecard.transaction.os_errors import naming

DRIVERS = Path("sys/bus/pci/drivers")
PROBE = Path("sys/bus/pci/drivers_probe")
# Seconds until a driver that is being loaded has all its files; a second under emulation.
_LOADING = 30.0


@dataclass(frozen=True)
class BindDriver(HostOperation):
    """Give the function at `address` to `driver`, if its ids are `vendor` and `device`.

    `former_driver` and `former_override` are what it has when the plan is made, None for none.
    The binding lasts until the host goes down; at the next boot the initramfs decides.
    """

    kind: ClassVar[str] = "bind-driver"

    address: str
    driver: str
    vendor: str
    device: str
    former_driver: str | None = None
    former_override: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BindDriver:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        return cls(
            _address(text(data["address"])),
            _driver(text(data["driver"])),
            text(data["vendor"]),
            text(data["device"]),
            _driver_or_none(data["former_driver"]),
            _driver_or_none(data["former_override"]),
        )

    def describe(self) -> str:
        """`0000:01:00.1 8086:293e: snd_hda_intel -> vfio-pci`."""
        return (
            f"{self.address} {self.vendor}:{self.device}: "
            f"{self.former_driver or 'no driver'} -> {self.driver} (driver_override, until reboot)"
        )

    # No `state_before`: after a reboot, or a driver's reload, an interrupted apply may find any
    # driver, and takes the function from it unless it is in use.

    @property
    def state_after(self) -> State:
        """The driver has the function."""
        return {self.address: self.driver}

    def look(self, context: HostContext) -> State:
        """The driver that has the function."""
        return {self.address: driver_of(context.root, self.address)}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Bind it and read the link back. Raises WholecardError where another driver has it."""
        root = context.root
        self._refuse_stranger(root)
        set_override(root, self.address, self.driver)
        if driver_of(root, self.address) == self.driver:
            return {}
        unbind(root, self.address)
        tell(root, PROBE, self.address)
        driver = driver_of(root, self.address)
        if driver != self.driver:
            raise WholecardError(
                f"{self.address} is on {driver or 'no driver'}, not on {self.driver}",
                "The kernel was asked to probe it again and did not bind it.",
                "See what the kernel says (dmesg).",
            )
        return {}

    def former(self, context: HostContext, step: Step) -> State:
        """The former driver, in the boot in which it was taken; at a reboot it was lost."""
        return {self.address: self.former_driver} if _in_boot(context, step.begun) else {}

    def undo(self, context: HostContext, step: Step) -> str | None:
        """Give it back to what had it. Raises WholecardError where that does not take it."""
        if not _in_boot(context, step.begun):
            return f"{self.address} was bound in an earlier boot: nothing to undo"
        root = context.root
        self._refuse_stranger(root)
        set_override(root, self.address, self.former_override)
        if driver_of(root, self.address) == self.former_driver:
            return None
        unbind(root, self.address)
        if self.former_driver is not None:
            self._bind_to_former(root, self.former_driver)
        return None

    def _bind_to_former(self, root: Path, former: str) -> None:
        if not (root / DRIVERS / former).is_dir():
            raise WholecardError(
                f"{self.address} has no driver now: its former driver {former} is not loaded",
                resolution=f"Load it (modprobe {former}).",
            )
        # By name, for a probe would ask every driver that knows the ids.
        tell(root, DRIVERS / former / "bind", self.address)
        driver = driver_of(root, self.address)
        if driver != former:
            raise WholecardError(
                f"{self.address} is on {driver or 'no driver'}, not on {former} again",
                resolution="See what the kernel says (dmesg).",
            )

    def functions_taken(self, root: Path) -> tuple[Address, ...]:
        """The function, unless the driver has it already."""
        if driver_of(root, self.address) == self.driver:
            return ()
        return (Address.parse(self.address),)

    def functions_given_back(
        self, context: HostContext, begun: Mapping[str, Any]
    ) -> tuple[Address, ...]:
        """The function, unless the former driver, or none, has it already."""
        driver = driver_of(context.root, self.address)
        if driver in (self.former_driver, None) or not _in_boot(context, begun):
            return ()
        return (Address.parse(self.address),)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """The function's driver beside the one that took it."""
        driver = driver_of(root, self.address)
        if not (root / DEVICES / self.address).exists():
            yield Drift("binding", self.address, operation.GONE)
        elif driver == self.driver:
            yield Drift("binding", self.address, operation.AS_APPLIED)
        else:
            detail = f"on {driver or 'no driver'}, not on {self.driver}"
            yield Drift("binding", self.address, operation.CHANGED, detail)

    def _refuse_stranger(self, root: Path) -> None:
        device = root / DEVICES / self.address
        ids = [read_text(device / name) for name in ("vendor", "device")]
        if ids != [f"0x{self.vendor}", f"0x{self.device}"]:
            raise WholecardError(
                f"{self.address} is not {self.vendor}:{self.device}",
                f"sysfs says {' '.join(ids).strip() or 'nothing'}.",
                "Find the card's present address with inspect.",
            )


def _address(value: str) -> str:
    """An address in its one way of writing. Raises ValueError."""
    try:
        return str(Address.parse(value))
    except UsageError as error:
        raise ValueError(error.brief) from error


def _driver(value: str) -> str:
    """A driver's name, which is a folder's in sysfs. Raises ValueError."""
    if driver_name(value) != value:
        raise ValueError(f"{value!r} is not the name of a driver")
    return value


def _driver_or_none(value: Any) -> str | None:
    return None if value is None else _driver(text(value))


def _in_boot(context: HostContext, begun: Mapping[str, Any]) -> bool:
    """Whether an action was begun in the boot that the host is in."""
    return bool(begun.get("boot") == context.boot)


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
    """Set or clear `driver_override`, where it is another one."""
    if override_of(root, address) != driver:
        # A newline alone clears it; an empty write would not reach the kernel.
        tell(root, Path(DEVICES, address, "driver_override"), driver or "\n")


def unbind(root: Path, address: str) -> None:
    """Take the function from its driver, if it has one. Raises WholecardError and OSError.

    udev loads the module of new VFs, and a driver that is being loaded takes them before it has a
    file `unbind`, or leaves them again by itself (linux, drivers/base/bus.c, bus_add_driver, and
    dd.c, really_probe; seen with igb).
    """
    path = Path(DEVICES, address, "driver", "unbind")

    def left() -> bool | None:
        if driver_of(root, address) is None:
            return True
        try:
            tell(root, path, address)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
            return None
        return True

    wait_until(
        f"{driver_of(root, address)} leaves {address}", left, _LOADING, interval=0.1,
        last=lambda: f"{root / path} does not exist, or does not take the function.",
        resolution="See what the kernel says (dmesg).",
    )  # fmt: skip


def tell(root: Path, name: Path, text: str) -> None:
    """Write to a file of sysfs. Raises WholecardError for one outside `root`, and OSError."""
    path = root / name
    # sysfs has links of its own, all of them relative: one that leads out of an image is not its.
    if path.resolve() != under(root, f"/{name}", follow=True).resolve():
        raise WholecardError(
            f"{path} points outside {root}",
            f"It leads to {path.resolve()}.",
            "Remove what is below sys in the image: the kernel fills it at boot.",
        )
    with naming(path):
        syscalls.write_sysfs(path, text)
