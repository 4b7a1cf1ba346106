"""Programs that stand in for a host's tools and record how they were called."""

from __future__ import annotations

from pathlib import Path

import pytest

from tree import grow

FAKE_CHROOT = """#!/bin/sh
# chroot ROOT TOOL ARGUMENT...: does what the tool would do, in ROOT.
root=$1
shift
echo "$*" >> "$CALLS"
[ ! -e "$CALLS.fail" ] || exit 7
case "$1" in
update-initramfs)
	for image in "$root"/boot/initrd.img-*; do
		cat "$root"/etc/wholecard/bind > "$image.new" 2> /dev/null
		echo "image of $image" >> "$image.new"
		mv "$image.new" "$image"
	done
	;;
update-grub) cp "$root/etc/default/grub" "$root/boot/grub/grub.cfg.new"
	mv "$root/boot/grub/grub.cfg.new" "$root/boot/grub/grub.cfg" ;;
esac
"""


def fake_tools(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put them first on PATH; the file of calls is returned. `calls.fail` makes them fail."""
    programs = grow(place / "programs", {"chroot": (FAKE_CHROOT, 0o755)})
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(place / "calls"))
    return place / "calls"
