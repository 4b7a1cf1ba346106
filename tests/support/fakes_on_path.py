"""Programs that stand in for a host's tools and record how they were called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.tree import grow

FAKE_CHROOT = """#!/bin/sh
# chroot ROOT TOOL ARGUMENT...: does what the tool would do, in ROOT.
root=$1
shift
echo "$*" >> "$CALLS"
[ ! -e "$CALLS.fail" ] || exit 7
# Copies to partitions that no backup reaches.
copy() { cat "$root"/boot/initrd.img-* "$root"/etc/kernel/cmdline > "$CALLS.copy"; }

# As grub-mkconfig: sources the settings as shell, writes beside the menu, and takes its place.
mkconfig() {
	menu=$1
	shift
	(
		# Its first lines ask for files that are not here.
		. "$root/etc/default/grub"
		set -e
		for part in "$@"; do
			[ ! -e "$part" ] || . "$part"
		done
		echo "linux /vmlinuz root=UUID=1 ro $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"
	) > "$menu.new" || exit
	mv "$menu.new" "$menu"
}
case "$1" in
update-initramfs)
	for image in "$root"/boot/initrd.img-*; do
		cat "$root"/etc/wholecard/bind > "$image.new" 2> /dev/null
		echo "image of $image" >> "$image.new"
		mv "$image.new" "$image"
	done
	# Hooks: Proxmox's and one that nobody knows write beyond the tree, Pop's to the EFI partition.
	for hook in "$root"/etc/initramfs/post-update.d/*; do
		[ ! -e "$hook" ] || case "$hook" in
		*kernelstub) cat "$root"/boot/initrd.img-* > "$root"/boot/efi/EFI/Pop_OS-1/initrd.img ;;
		*) copy ;;
		esac
	done
	;;
proxmox-boot-tool|/etc/initramfs/post-update.d/*) copy ;;
kernelstub)
	sed -i "s|^options.*|options root=UUID=1 ro $3|" "$root"/boot/efi/loader/entries/*.conf
	words=$(printf '"%s", ' $3)
	cd "$root/etc/kernelstub"
	printf '{"user": {"kernel_options": [%s]}}\n' "${words%, }" > configuration
	;;
sdbootutil)
	for entry in "$root"/boot/efi/loader/entries/*.conf; do
		sed "s|^options.*|options $(cat "$root/etc/kernel/cmdline")|" "$entry" > "$entry.new"
		mv "$entry.new" "$entry"
	done
	for image in "$root"/boot/efi/opensuse-tumbleweed/*/initrd*; do
		[ "$2" != mkinitrd ] || cp "$root/etc/wholecard/bind" "${image%/*}/initrd-bbbb"
	done
	;;
update-grub) mkconfig "$root/boot/grub/grub.cfg" "$root"/etc/default/grub.d/*.cfg ;;
grub2-mkconfig) mkconfig "$root$3" ;;
dracut)
	cd "$root/boot"
	for image in initramfs-[1-9]*.img initrd-* initrd.img-*; do
		[ -f "$image" ] || continue
		cat "$root"/etc/wholecard/bind > "$image.tmp" 2> /dev/null
		mv "$image.tmp" "$image"
	done
	;;
kernel-install)
	for entry in "$root"/boot/efi/loader/entries/*-"$3".conf; do
		options=$(grep -v '^#' "$root/etc/kernel/cmdline")
		sed "s|^options.*|options    $options|" "$entry" > "$entry.new"
		mv "$entry.new" "$entry"
	done
	for image in "$root"/boot/initrd.img-"$3"; do
		cp "$image" "$root"/boot/efi/*/"$3"/
	done
	;;
systemctl) mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s "/etc/systemd/system/$3" "$root/etc/systemd/system/multi-user.target.wants/$3" ;;
grubby) shift; exec fake-grubby "$root" "$@" ;;
esac
"""

# grubby as EL's script does it: words of an added name go, then all that are added are appended;
# in the environment block where an entry has $kernelopts; in GRUB_CMDLINE_LINUX where it is not
# empty; in /etc/kernel/cmdline, which is made from the last entry where it is absent.
FAKE_GRUBBY = """#!{python}
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
given = dict(word.split("=", 1) for word in sys.argv[2:])
assert given["--update-kernel"] == "ALL", given
added, removed = given.get("--args", "").split(), given.get("--remove-args", "").split()


def update(text):
    words = []
    for word in text.split():
        name = word.partition("=")[0]
        if name in [each.partition("=")[0] for each in added]:
            continue
        if word in removed or name in removed:
            continue
        words.append(word)
    return " ".join(words + added)


def rewrite(path, pattern):
    text = path.read_text()
    new = re.sub(pattern, lambda match: match[1] + update(match[2]) + match[3], text, flags=re.M)
    path.write_text(new)


default = root / "etc/default/grub"
if default.exists():
    rewrite(default, r'^(GRUB_CMDLINE_LINUX=")([^"\\n]+)(")')
rewrite(root / "boot/grub2/grubenv", r"^(kernelopts=)(.*)()$")
entries = sorted((root / "boot/loader/entries").glob("*.conf"))
for entry in entries:
    if "$kernelopts" not in entry.read_text():
        rewrite(entry, r"^(options )(.*)()$")
cmdline = root / "etc/kernel/cmdline"
if not cmdline.exists():
    cmdline.parent.mkdir(exist_ok=True)
    cmdline.write_text(re.search(r"^options (.*)$", entries[0].read_text(), re.M)[1] + "\\n")
cmdline.write_text(update(cmdline.read_text()) + "\\n")
"""


def fake_tools(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put them first on PATH; the file of calls is returned. `calls.fail` makes them fail."""
    grubby = FAKE_GRUBBY.replace("{python}", sys.executable)
    programs = grow(
        place / "programs", {"chroot": (FAKE_CHROOT, 0o755), "fake-grubby": (grubby, 0o755)}
    )
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(place / "calls"))
    return place / "calls"
