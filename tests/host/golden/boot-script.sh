#!/bin/sh
# Written by Wholecard; `wholecard-host rollback` takes it back.
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

say() {
	echo "<6>wholecard: $*" >> "$KMSG"
}

driver_of() {
	link=$(readlink "$1/driver") || link=
	echo "${link##*/}"
}

claim() {
	address=$1 vendor=$2 device=$3 driver=$4
	place=$SYS/bus/pci/devices/$address
	if [ ! -r "$place/vendor" ] || [ ! -r "$place/device" ]; then
		say "$address is not there: left alone"
		return
	fi
	read -r is_vendor < "$place/vendor"
	read -r is_device < "$place/device"
	if [ "$is_vendor $is_device" != "0x$vendor 0x$device" ]; then
		say "$address is ${is_vendor#0x}:${is_device#0x}, not $vendor:$device: left alone"
		return
	fi
	has=$(driver_of "$place")
	if [ "$has" != "$driver" ]; then
		echo "$driver" > "$place/driver_override"
		if [ -n "$has" ]; then
			echo "$address" > "$place/driver/unbind"
		fi
		modprobe "$driver"
		echo "$address" > "$SYS/bus/pci/drivers_probe"
		has=$(driver_of "$place")
	fi
	if [ "$has" = "$driver" ]; then
		say "$address $vendor:$device claimed by $driver"
	else
		say "$address $vendor:$device not claimed by $driver, driver: ${has:-none}"
	fi
}

if [ -r "$TABLE" ]; then
	while read -r address vendor device driver rest; do
		case "$address" in
		"" | "#"*) ;;
		*) claim "$address" "$vendor" "$device" "$driver" ;;
		esac
	done < "$TABLE"
fi
exit 0
