"""What claims the functions at boot, before any other driver is loaded: a table and a script.

Each initramfs has its own frame for the script (`initramfs_tools`, `dracut`); the script is one.
It is for any shell that an initramfs may have, klibc's and busybox's included, and starts no
program but readlink and modprobe. Source: linux, Documentation/ABI/testing/sysfs-bus-pci,
`driver_override` and `drivers_probe`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import WholecardError
from wholecard.core.module_names import MODULE
from wholecard.host.operations.config_change import HEAD_LINE
from wholecard.pci import Function, slot_path
from wholecard.pci.vfio_drivers import PCI_STUB, VFIO_PCI

VFIO = VFIO_PCI
PARKED = PCI_STUB

# The table's first line. A script that reads another first line claims nothing and says so.
HEAD = "# wholecard-bind 2"

# What the script writes to the kernel's log for a function that it has claimed.
CLAIMED = re.compile(
    r"wholecard: (?P<address>\S+) (?P<vendor>[0-9a-f]{4}):(?P<device>[0-9a-f]{4}) "
    r"claimed by (?P<driver>[^\s,]+)(?:, planned at (?P<planned>\S+))?"
)


_LINE = re.compile(
    r"[0-9a-f]{4,8}:[0-9a-f]{2}(?:/[0-9a-f]{2}\.[0-7])+ "
    rf"[0-9a-f]{{4,8}}:[0-9a-f]{{2}}:[0-9a-f]{{2}}\.[0-7] [0-9a-f]{{4}} [0-9a-f]{{4}} {MODULE}"
)


@dataclass(frozen=True)
class Claim:
    """One function to bind: where it was when planned, by path and address; its ids, its driver."""

    path: str
    address: str
    vendor: str
    device: str
    driver: str = VFIO

    def __post_init__(self) -> None:
        # The boot script splits the table's lines at white space: one more would be bound too.
        if not _LINE.fullmatch(str(self)):
            raise WholecardError(
                f"{str(self)[:120]!r} is not a function to bind",
                "A line of the table has a path of slots, an address, two ids and a driver.",
                "See where it comes from: the facts, the journal, or sysfs.",
            )

    @classmethod
    def of(cls, function: Function, driver: str) -> Claim:
        """The claim of a function as it is now."""
        return cls(
            slot_path(function), str(function.address), function.vendor, function.device, driver
        )

    @classmethod
    def parse(cls, line: str) -> Claim:
        """The inverse of `str`. Raises WholecardError on anything else."""
        fields = line.split()
        if len(fields) != 5:
            raise WholecardError(
                f"{line!r} is not a planned function",
                resolution="Use the release of Wholecard that wrote the journal.",
            )
        return cls(*fields)

    def __str__(self) -> str:
        return f"{self.path} {self.address} {self.vendor} {self.device} {self.driver}"


def table_text(claims: Iterable[Claim]) -> str:
    """The text of `/etc/wholecard/bind`: a function a line, in the order of `claims`."""
    head = f"{HEAD}\n{HEAD_LINE}# path address vendor device driver\n"
    return head + "".join(f"{claim}\n" for claim in claims)


SCRIPT = r"""
SYS=${WHOLECARD_SYS:-/sys}
TABLE=${WHOLECARD_TABLE:-/etc/wholecard/bind}
KMSG=${WHOLECARD_KMSG:-/dev/kmsg}
# By its path: a busybox may have a modprobe of its own that cannot read compressed modules.
MODPROBE=${WHOLECARD_MODPROBE:-/sbin/modprobe}

say() {
	echo "<6>wholecard: $*" >> "$KMSG"
}

driver_of() {
	link=$(readlink "$1/driver") || link=
	echo "${link##*/}"
}

# Sets place to the function at a path of slots whose ids are as planned, or to nothing; seen are
# the ids found there instead. Bus numbers do not count: they change when cards are added.
locate() {
	root=${1%%/*}
	rest=${1#*/}
	steps=
	while [ -n "$rest" ]; do
		steps="$steps/*:${rest%%/*}"
		case "$rest" in
		*/*) rest=${rest#*/} ;;
		*) rest= ;;
		esac
	done
	seen=
	# A root bus may itself be below a device, as behind Intel VMD.
	for place in "$SYS"/devices/pci$root$steps "$SYS"/devices/*/pci$root$steps \
		"$SYS"/devices/*/*/pci$root$steps "$SYS"/devices/*/*/*/pci$root$steps; do
		# A VF shares its PF's bridge and may repeat a slot's number.
		if [ -r "$place/vendor" ] && [ -r "$place/device" ] && [ ! -e "$place/physfn" ]; then
			read -r is_vendor < "$place/vendor"
			read -r is_device < "$place/device"
			seen=${is_vendor#0x}:${is_device#0x}
			if [ "$seen" = "$2:$3" ]; then
				return
			fi
		fi
	done
	place=
}

# Before any module is loaded: a variant of vfio-pci may bring the native driver along.
hold() {
	locate "$1" "$3" "$4"
	if [ -n "$place" ] && [ "$(driver_of "$place")" != "$5" ]; then
		echo "$5" > "$place/driver_override"
	fi
}

# Loads the module of $driver and sets driver to the name that its driver has. A kernel without a
# variant of vfio-pci gets vfio-pci itself.
load() {
	if ! "$MODPROBE" "$driver"; then
		case "$driver" in
		vfio-pci | pci-stub) return ;;
		esac
		driver=vfio-pci
		"$MODPROBE" "$driver"
	fi
	for entry in "$SYS/module/$driver/drivers/pci:"*; do
		if [ -e "$entry" ]; then
			driver=${entry##*/pci:}
		fi
	done
}

claim() {
	path=$1 planned=$2 vendor=$3 device=$4 driver=$5
	locate "$path" "$vendor" "$device"
	if [ -z "$place" ]; then
		if [ -n "$seen" ]; then
			say "$planned is $seen, not $vendor:$device: left alone"
		else
			say "$planned is not there: left alone"
		fi
		return
	fi
	address=${place##*/}
	moved=
	if [ "$address" != "$planned" ]; then
		moved=", planned at $planned"
	fi
	has=$(driver_of "$place")
	if [ "$has" != "$driver" ]; then
		echo "$driver" > "$place/driver_override"
		if [ -n "$has" ]; then
			echo "$address" > "$place/driver/unbind"
		fi
		load
		if [ "$driver" != "$5" ]; then
			echo "$driver" > "$place/driver_override"
		fi
		echo "$address" > "$SYS/bus/pci/drivers_probe"
		has=$(driver_of "$place")
	fi
	if [ "$has" = "$driver" ]; then
		say "$address $vendor:$device claimed by $driver$moved"
	else
		say "$address $vendor:$device not claimed by $driver$moved, driver: ${has:-none}"
	fi
}

# Calls a function for each line of the table.
each_line() {
	read -r head
	if [ "$head" != "@HEAD@" ]; then
		return 1
	fi
	while read -r path address vendor device driver rest; do
		case "$path" in
		"" | "#"*) ;;
		*) "$1" "$path" "$address" "$vendor" "$device" "$driver" ;;
		esac
	done
}

if [ -r "$TABLE" ]; then
	if each_line hold < "$TABLE"; then
		each_line claim < "$TABLE"
	else
		say "$TABLE is of another release: nothing is claimed"
	fi
fi
""".replace("@HEAD@", HEAD)
