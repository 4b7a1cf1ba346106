"""A kernel for trees: what Linux does when a driver's files in sysfs are written."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path


class Kernel:
    """Moves the driver links below `root` as drivers/pci and drivers/base do.

    `natives` are the drivers that know a function by its ids. All state is in the tree, so that a
    killed process takes nothing with it. `stubborn` functions are never bound when probed.
    """

    def __init__(
        self, root: Path, natives: Mapping[str, str], stubborn: frozenset[str] = frozenset()
    ) -> None:
        self.root = root
        self.natives = natives
        self.stubborn = stubborn

    def write(self, path: Path, text: str) -> None:
        """Stands for `syscalls.write_sysfs`."""
        bus = self.root / "sys/bus/pci"
        if path == bus / "drivers_probe":
            self._probe(text)
        elif path.name == "driver_override":
            # An empty write never reaches the kernel; a newline alone clears.
            assert text
            path.write_text(f"{text.strip() or '(null)'}\n")
        elif path.name == "unbind" and path.parent.is_symlink():
            if text != path.parent.parent.resolve().name:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(path))
            path.parent.unlink()
        elif path.name == "bind" and path.parent.parent == bus / "drivers":
            self._bind(text, path.parent.name, path)
        else:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def _probe(self, address: str) -> None:
        place = self._place(address)
        if (place / "driver").is_symlink() or address in self.stubborn:
            return
        driver = self._matching(address)
        if driver is not None and self._loaded(driver):
            self._link(place, driver)

    def _bind(self, address: str, driver: str, path: Path) -> None:
        place = self._place(address)
        if not self._loaded(driver):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        if (place / "driver").is_symlink() or self._matching(address) != driver:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(path))
        self._link(place, driver)

    def _matching(self, address: str) -> str | None:
        override = (self._place(address) / "driver_override").read_text().strip()
        return self.natives.get(address) if override == "(null)" else override

    def _place(self, address: str) -> Path:
        place = self.root / "sys/bus/pci/devices" / address
        if not place.exists():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(place))
        return place

    def _loaded(self, driver: str) -> bool:
        return (self.root / "sys/bus/pci/drivers" / driver).is_dir()

    def _link(self, place: Path, driver: str) -> None:
        home = place.resolve()
        up = "../" * (len(home.relative_to(self.root.resolve() / "sys").parts))
        (home / "driver").symlink_to(f"{up}bus/pci/drivers/{driver}")
