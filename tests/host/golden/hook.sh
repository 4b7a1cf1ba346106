#!/bin/sh
# Written by Wholecard; `wholecard-host rollback` takes it back.
# Puts vfio-pci and the table of functions into the initramfs.
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

for module in vfio-pci vfio_iommu_type1; do
	if ! grep -qs "/${module}\.ko" "/lib/modules/${version}/modules.builtin"; then
		manual_add_modules "$module"
	fi
done

if [ -f /etc/wholecard/bind ]; then
	mkdir -p "${DESTDIR}/etc/wholecard"
	cp -p /etc/wholecard/bind "${DESTDIR}/etc/wholecard/bind"
fi
