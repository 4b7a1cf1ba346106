"""initramfs-tools (Debian, Ubuntu): a hook fills the image, a script in it claims the functions.

Source: initramfs-tools(7), "BOOT SCRIPTS" and "HOOK SCRIPTS".
"""

from __future__ import annotations

from wholecard.host.config_files import BOOT_SCRIPT, HOOK, FileText
from wholecard.host.initramfs.claim_script import SCRIPT
from wholecard.host.operations.config_change import HEAD_LINE, ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool

# What both kinds of script answer when they are asked which others go first.
_PREREQS = r"""
PREREQS=""
prereqs() { echo "$PREREQS"; }
case "${1:-}" in
prereqs)
	prereqs
	exit 0
	;;
esac
"""

HOOK_TEXT = (
    "#!/bin/sh\n"
    + HEAD_LINE
    + r"""# Puts the drivers and the table of functions into the initramfs.
set -e
"""
    + _PREREQS
    + r"""
. /usr/share/initramfs-tools/hook-functions

modules="vfio-pci vfio_iommu_type1"
if grep -qs "pci-stub\$" /etc/wholecard/bind; then
	modules="$modules pci-stub"
fi
for module in $modules; do
	if ! grep -qs "/${module}\.ko" "/lib/modules/${version}/modules.builtin"; then
		manual_add_modules "$module"
	fi
done

if [ -f /etc/wholecard/bind ]; then
	mkdir -p "${DESTDIR}/etc/wholecard"
	cp -p /etc/wholecard/bind "${DESTDIR}/etc/wholecard/bind"
fi
"""
)

BOOT_SCRIPT_TEXT = (
    "#!/bin/sh\n"
    + HEAD_LINE
    + r"""# Gives the functions in /etc/wholecard/bind to their driver before udev loads any other.
# init-top runs in tsort's order, which takes scripts without needs by name: 00- is before udev.
"""
    + _PREREQS
    + SCRIPT
    + "exit 0\n"
)

UPDATE = RunTool(
    ("update-initramfs", "-u", "-k", "all"), ("/boot/initrd.img-*", "/var/lib/initramfs-tools/*")
)


def change() -> ConfigChange:
    """The hook, the script, and the tool that makes the images."""
    return ConfigChange(
        files=(
            (
                FileText(HOOK, HOOK_TEXT, 0o755),
                "The initramfs has vfio-pci and the table of functions.",
            ),
            (
                FileText(BOOT_SCRIPT, BOOT_SCRIPT_TEXT, 0o755),
                "vfio-pci claims the functions before udev loads any other driver.",
            ),
        ),
        tools=(
            FollowUp(
                "update-initramfs",
                "The next boot reads these files from the initramfs.",
                UPDATE,
                "restore the former images, or run the tool again if they have changed since",
            ),
        ),
    )
