#!/bin/sh
# Written by Wholecard; `wholecard-host rollback` removes it.
# Puts the drivers and the table of functions into the initramfs.
set -e

PREREQS=""
prereqs() { echo "$PREREQS"; }
case "${1:-}" in
prereqs)
	prereqs
	exit 0
	;;
esac

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
