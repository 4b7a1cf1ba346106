"""A shell script that writes a CDI specification of a machine's cards, at each boot.

The numbers of /dev/dri/card0 and of sound cards are given in the order in which drivers load, so a
specification is true for one boot: the script runs at each, in a guest and on a host alike, and
writes to /run. NVIDIA's cards are left to nvidia-ctk, which knows the driver's libraries. Source:
CDI's SPEC.md 0.6.0 (annotations, digits at a name's beginning), linux/Documentation/ABI/testing/
sysfs-bus-pci; drm(7); kfd needs /dev/kfd beside the render nodes (ROCm's documentation of
containers).
"""

from __future__ import annotations

KIND = "wholecard.internal/card"
SCRIPT_FILE = "/usr/local/lib/wholecard/cdi"
SPEC_FILE = "/run/cdi/wholecard.json"
NVIDIA_COMMAND = "nvidia-ctk cdi generate --output=/run/cdi/nvidia.yaml"
UNIT_NAME = "wholecard-cdi.service"

# Every name in the JSON is the kernel's and made of letters, digits, `:`, `.` and `_`: it is
# matched before it is written.
CDI_SCRIPT = r"""#!/bin/sh
# Usage: cdi [ADDRESS...]: a function's address, as 0000:41:00.0. Without one: all GPUs.
set -u
sys=${WHOLECARD_SYS:-/sys}
spec=${WHOLECARD_CDI:-/run/cdi/wholecard.json}
kind=wholecard.internal/card
nvidia_tool="nvidia-ctk cdi generate --output=/run/cdi/nvidia.yaml"

slots=""
for address in "$@"; do slots="$slots ${address%.*}"; done
if [ $# -eq 0 ]; then
	for class in "$sys"/bus/pci/devices/*/class; do
		[ -r "$class" ] || continue
		case "$(cat "$class")" in
		0x0300*|0x0302*|0x0380*|0x1200*)
			function=${class%/class}
			function=${function##*/}
			case " $slots " in *" ${function%.*} "*) ;; *) slots="$slots ${function%.*}" ;; esac ;;
		esac
	done
fi

# The device nodes of one function, a line each.
nodes() {
	for node in "$1"/drm/card* "$1"/drm/renderD* "$1"/accel/accel* "$1"/sound/card*/*; do
		[ -e "$node/dev" ] || continue
		name=${node##*/}
		case "$name" in *[!A-Za-z0-9_]*) continue ;; esac
		case "$node" in
		*/drm/*) echo "/dev/dri/$name" ;;
		*/accel/*) echo "/dev/accel/$name" ;;
		*/sound/*) echo "/dev/snd/$name" ;;
		esac
	done
	driver=$(readlink "$1/driver") || return 0
	[ "${driver##*/}" != amdgpu ] || [ ! -e "$sys/class/kfd" ] || echo /dev/kfd
}

devices=""
for slot in $slots; do
	case "$slot" in *[!0-9a-f:]*|"") echo "cdi: $slot is not a card" >&2; continue ;; esac
	first="" ids="" found="" nvidia=""
	for function in "$sys/bus/pci/devices/$slot".*; do
		[ -e "$function/vendor" ] || continue
		driver=$(readlink "$function/driver") || driver=""
		[ "${driver##*/}" != nvidia ] || nvidia=1
		if [ -z "$first" ]; then
			first=${function##*/}
			ids="$(cat "$function/vendor"):$(cat "$function/device")"
		fi
		found="$found $(nodes "$function")"
	done
	if [ -n "$nvidia" ]; then
		echo "cdi: $first has NVIDIA's driver; run: $nvidia_tool" >&2
		continue
	fi
	list=""
	for path in $found; do
		list="$list${list:+, }{\"path\": \"$path\", \"permissions\": \"rw\"}"
	done
	[ -n "$list" ] || continue
	case "$ids" in *[!0-9a-fx:]*) ids="" ;; esac
	variable=$(echo "WHOLECARD_CARD_$first" | tr ':.' '__')
	devices="$devices${devices:+,}
    {\"name\": \"$first\", \"annotations\": {\"wholecard.internal/ids\": \"$ids\"},
     \"containerEdits\": {\"env\": [\"$variable=$ids\"], \"deviceNodes\": [$list]}}"
done

if [ -z "$devices" ]; then
	rm -f "$spec"
	echo "cdi: no card has device nodes" >&2
	exit 0
fi
mkdir -p "${spec%/*}" || exit 1
# CDI reads every file whose name ends in .json.
printf '{"cdiVersion": "0.6.0", "kind": "%s", "devices": [%s\n]}\n' "$kind" "$devices" \
	> "$spec.new" && mv "$spec.new" "$spec"
"""


def unit_text(addresses: tuple[str, ...] = ()) -> str:
    """The sections of the service that runs the script, without `[Install]`.

    `addresses` are functions (`0000:41:00.0`), none for all GPUs.
    """
    command = " ".join((SCRIPT_FILE, *addresses))
    return (
        "[Unit]\nDescription=CDI specification of the cards, for containers\n"
        "After=systemd-modules-load.service systemd-udev-settle.service\n"
        "Wants=systemd-udev-settle.service\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={command}\n"
    )
