#!/bin/sh
# Written by Wholecard; `wholecard-host rollback` removes it.
# Gives the functions in /etc/wholecard/bind to their driver before udev loads any other.
# init-top runs in tsort's order, which takes scripts without needs by name: 00- is before udev.

PREREQS=""
prereqs() { echo "$PREREQS"; }
case "${1:-}" in
prereqs)
	prereqs
	exit 0
	;;
esac

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
		"$MODPROBE" "$driver"
		echo "$address" > "$SYS/bus/pci/drivers_probe"
		has=$(driver_of "$place")
	fi
	if [ "$has" = "$driver" ]; then
		say "$address $vendor:$device claimed by $driver$moved"
	else
		say "$address $vendor:$device not claimed by $driver$moved, driver: ${has:-none}"
	fi
}

claim_all() {
	read -r head
	if [ "$head" != "# wholecard-bind 2" ]; then
		say "$TABLE is of another release: nothing is claimed"
		return
	fi
	while read -r path address vendor device driver rest; do
		case "$path" in
		"" | "#"*) ;;
		*) claim "$path" "$address" "$vendor" "$device" "$driver" ;;
		esac
	done
}

if [ -r "$TABLE" ]; then
	claim_all < "$TABLE"
fi
exit 0
