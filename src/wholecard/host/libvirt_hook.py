"""libvirt's hook for GPUs of a board with NVSwitches: their partition is active with the server.

This file is installed as it is, alone, and imports the standard library only. libvirt runs it with
a domain's name, an operation and a stage, and gives it the domain's XML; of `prepare begin`, which
comes before devices are given, status 1 refuses the start, and what is written to standard error is
in libvirt's error, which nova keeps as the server's fault. Source: libvirt.org/hooks.html.

`fmpm` is NVIDIA's client of Fabric Manager (NVIDIA/Fabric-Manager-Client). It prints its errors to
standard output. Partitions are sets of module ids; which address has which id is in MODULES, since
Fabric Manager does not know the addresses of GPUs that no driver of NVIDIA's has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

MODULES = "/etc/wholecard/nvswitch.json"
_SECONDS = 60

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Gpus = frozenset[int]
    Partitions = dict[int, tuple[Gpus, bool]]


class HookError(Exception):
    """Why a server's GPUs are not connected."""


def main(argv: list[str], text: bytes, modules: str = MODULES, sysfs: str = "/sys") -> int:
    """The exit status for libvirt: 0, or 1 where the server must not start."""
    domain, operation, stage = [*argv[1:4], "", "", ""][:3]
    does = {("prepare", "begin"): activate, ("release", "end"): deactivate}.get((operation, stage))
    if does is None:
        return 0
    try:
        gpus = gpus_of(text, modules, sysfs)
        if gpus:
            does(gpus)
    except HookError as error:
        sys.stderr.write(f"wholecard: the GPUs of {domain} are not connected: {error}\n")
        return 1
    return 0


def gpus_of(text: bytes, modules: str, sysfs: str) -> Gpus:
    """The module ids of the board's GPUs that the domain has."""
    given = [address for address in hostdevs(text) if is_nvidia(sysfs, address)]
    if not given:
        return frozenset()
    places = modules_by_address(modules)
    moved = [address for address in places if not is_nvidia(sysfs, address)]
    if moved:
        raise HookError(
            f"{modules} names {moved[0]}, and there is no GPU any more; "
            "read the module ids again (nvidia-smi -q), and apply again"
        )
    return frozenset(places[address] for address in given if address in places)


def modules_by_address(path: str) -> dict[str, int]:
    """The board's module ids by the addresses of its GPUs."""
    try:
        with open(path, encoding="utf-8") as file:
            return {str(name): int(number) for name, number in json.load(file)["modules"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HookError(f"{path} cannot be read ({error}); wholecard-host apply") from error


def hostdevs(text: bytes) -> Iterator[str]:
    """The addresses of the host's functions in a domain's XML."""
    try:
        root = ET.fromstring(text)  # noqa: S314 -- libvirt's own
    except ET.ParseError as error:
        raise HookError(f"libvirt's XML cannot be read: {error}") from error
    for address in root.iterfind("./devices/hostdev[@type='pci']/source/address"):
        try:
            domain, bus, slot, function = (
                int(address.get(key, "0"), 0) for key in ("domain", "bus", "slot", "function")
            )
        except ValueError as error:
            raise HookError(f"libvirt's XML has no address there: {error}") from error
        yield f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def is_nvidia(sysfs: str, address: str) -> bool:
    """Whether NVIDIA made the function; False where there is none."""
    try:
        with open(f"{sysfs}/bus/pci/devices/{address}/vendor", encoding="ascii") as file:
            return file.read().strip() == "0x10de"
    except OSError:
        return False


def activate(gpus: Gpus) -> None:
    """Activate the partition that has these GPUs and no other."""
    partitions = listed()
    number = number_of(partitions, gpus)
    if partitions[number][1]:
        return
    for other, (members, active) in partitions.items():
        if active and members & gpus:
            raise HookError(
                f"partition {other} (modules {shown(members)}) is active and has some of them; "
                f"if no server has these GPUs: fmpm -d {other}"
            )
    fmpm("-a", str(number))
    if not listed()[number][1]:
        raise HookError(f"fmpm -a {number} ended well, and partition {number} is not active")


def deactivate(gpus: Gpus) -> None:
    """Deactivate it where it is active."""
    partitions = listed()
    number = number_of(partitions, gpus)
    if partitions[number][1]:
        fmpm("-d", str(number))


def listed() -> Partitions:
    """Fabric Manager's partitions by number: their module ids, and whether one is active."""
    text = fmpm("-l")
    try:
        return {
            row["partitionId"]: (
                frozenset(gpu["physicalId"] for gpu in row["gpuInfo"]), bool(row["isActive"]),
            )
            for row in json.loads(text)["partitionInfo"]
        }  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise HookError(f"fmpm -l printed no partitions: {text.strip()[:200]}") from error


def number_of(partitions: Partitions, gpus: Gpus) -> int:
    """The number of the partition with exactly these GPUs."""
    for number, (members, _) in partitions.items():
        if members == gpus:
            return number
    same = [shown(members) for members, _ in partitions.values() if len(members) == len(gpus)]
    raise HookError(
        f"modules {shown(gpus)} are no partition; of that number there are: "
        f"{'; '.join(same) or 'none'}"
    )


def shown(gpus: Gpus) -> str:
    """`1 3`"""
    return " ".join(map(str, sorted(gpus)))


def fmpm(*arguments: str) -> str:
    """What fmpm prints."""
    command = ["fmpm", *arguments]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise HookError("fmpm is not installed (NVIDIA/Fabric-Manager-Client)") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HookError(f"{' '.join(command)}: {error}") from error
    text = ended.stdout.decode("utf-8", "replace")
    if ended.returncode:
        said = " ".join(text.split())[:200] or "nothing"
        raise HookError(f"{' '.join(command)} ended with status {ended.returncode}, said: {said}")
    return text


if __name__ == "__main__":
    # For tests; libvirt sets neither.
    sys.exit(
        main(
            sys.argv,
            sys.stdin.buffer.read(),
            os.environ.get("WHOLECARD_MODULES", MODULES),
            os.environ.get("WHOLECARD_SYS", "/sys"),
        )
    )
