"""dracut (EL, SUSE; also Debian): a module fills the image, a hook in it claims the functions.

The hook runs at `pre-udev`, before systemd-udevd or udevd starts and loads drivers, in images
with systemd and without. dracut looks for modules in /usr/lib/dracut/modules.d alone. Hooks are
sourced by dracut's own shell, so ours keeps to a subshell. Source: dracut.modules(7),
dracut.bootup(7), dracut.conf(5).
"""

from __future__ import annotations

from wholecard.host.config_files import DRACUT_CONF, DRACUT_HOOK, DRACUT_MODULE, FileText
from wholecard.host.initramfs.claim_script import SCRIPT
from wholecard.host.operations.config_change import HEAD_LINE, ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool

MODULE_TEXT = (
    "#!/bin/bash\n"
    + HEAD_LINE
    + r"""# Puts the drivers and the table of functions into the initramfs.

check() {
	[ -f "${dracutsysrootdir-}/etc/wholecard/bind" ]
}

depends() {
	echo base
}

installkernel() {
	# A host-only image takes what is loaded now, and vfio-pci may not be.
	hostonly='' instmods vfio-pci vfio_iommu_type1
	if grep -qs 'pci-stub$' "${dracutsysrootdir-}/etc/wholecard/bind"; then
		hostonly='' instmods pci-stub
	fi
}

install() {
	inst_multiple readlink modprobe
	inst_simple /etc/wholecard/bind
	inst_hook pre-udev 00 "$moddir/wholecard-claim.sh"
}
"""
)

HOOK_TEXT = (
    "#!/bin/sh\n"
    + HEAD_LINE
    + r"""# Gives the functions in /etc/wholecard/bind to their driver before udev starts.
(
"""
    + SCRIPT.strip("\n")
    + "\n)\n"
)

CONF_TEXT = HEAD_LINE + 'add_dracutmodules+=" wholecard "\n'

# dracut(8): where the image goes depends on which of these folders exist.
IMAGES = (
    "/boot/initramfs-*.img",
    "/boot/initrd-*",
    "/boot/initrd.img-*",
    "/boot/*/*/initrd*",
    "/boot/efi/*/*/initrd*",
    "/efi/*/*/initrd*",
    "/usr/lib/modules/*/initrd",
)

REGENERATE = RunTool(("dracut", "--force", "--regenerate-all"), IMAGES)


def change() -> ConfigChange:
    """The module, its hook, its setting, and the tool that makes the images."""
    return ConfigChange(
        files=(
            (
                FileText(DRACUT_MODULE, MODULE_TEXT, 0o755),
                "The initramfs has vfio-pci and the table of functions.",
            ),
            (
                FileText(DRACUT_HOOK, HOOK_TEXT, 0o755),
                "vfio-pci claims the functions before udev loads any other driver.",
            ),
            (FileText(DRACUT_CONF, CONF_TEXT), "dracut adds the module to every image."),
        ),
        tools=(
            FollowUp(
                "dracut",
                "The next boot reads these files from the initramfs.",
                REGENERATE,
                "restore the former images, or run the tool again if they have changed since",
            ),
        ),
    )
