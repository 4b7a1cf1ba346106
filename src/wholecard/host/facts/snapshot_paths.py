"""What a snapshot has of a host: all that `inspect` and `check` read, and nothing else.

A path that another file of this folder begins to read is added to a table here. Files that a plan
may change are not: `read_settings` brings them.
"""

from __future__ import annotations

# Attributes of every function. `config` is not among them; of the vital product data only the
# serial number is stored.
ATTRIBUTES = (
    "boot_vga", "class", "device", "driver_override", "external_facing", "modalias", "numa_node",
    "nvidia/creatable_vgpu_types", "nvidia/current_vgpu_type",
    "power/runtime_status", "removable", "reset_method", "resource", "revision", "sriov_numvfs",
    "sriov_offset", "sriov_stride", "sriov_totalvfs", "subsystem_device",
    "subsystem_vendor", "uevent", "vendor",
)  # fmt: skip

# Reading these wakes a function that sleeps, so they are not read then.
WAKING = ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")

# Links of a function, stored as they are.
FUNCTION_LINKS = ("driver", "iommu_group", "physfn")

# Files, stored with their content.
FILES = (
    "etc/kernel/proxmox-boot-uuids", "etc/mdevctl.d/*/*", "etc/os-release",
    "etc/sysconfig/bootloader", "usr/lib/os-release",
    "proc/cmdline", "proc/cpuinfo", "proc/fb", "proc/iomem", "proc/meminfo", "proc/mounts",
    "proc/net/ipv6_route", "proc/net/route", "proc/self/mountinfo", "proc/swaps",
    "proc/sys/kernel/osrelease", "proc/sys/kernel/random/boot_id",
    "lib/modules/*/modules.alias", "lib/modules/*/modules.builtin", "lib/modules/*/modules.dep",
    "usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids",
    "sys/class/block/*/dev", "sys/class/block/*/dm/name", "sys/class/block/*/partition",
    "sys/class/tty/console/active",
    "sys/firmware/acpi/tables/DMAR", "sys/firmware/acpi/tables/IVRS",
    "sys/bus/pci/devices/*/sriov_admin/vf*/profile/*",
    "sys/class/mdev_bus/*/mdev_supported_types/*/available_instances",
    "sys/class/mdev_bus/*/mdev_supported_types/*/description",
    "sys/class/mdev_bus/*/mdev_supported_types/*/name",
    "sys/class/net/*/flags", "sys/class/net/*/operstate",
    "sys/devices/system/cpu/isolated",
    "sys/devices/system/node/node*/cpulist", "sys/devices/system/node/node*/meminfo",
    "sys/devices/system/node/node*/hugepages/*/free_hugepages",
    "sys/devices/system/node/node*/hugepages/*/nr_hugepages",
    "sys/firmware/efi/efivars/LoaderInfo-*", "sys/firmware/efi/efivars/SecureBoot-*",
    "sys/hypervisor/type", "sys/kernel/iommu_groups/*/reserved_regions",
    "sys/kernel/mm/hugepages/*/free_hugepages", "sys/kernel/mm/hugepages/*/nr_hugepages",
    *(f"{folder}/systemd/system/{unit}.service{drop_ins}"
      for folder in ("etc", "run", "usr/lib", "lib")
      for unit in ("libvirtd", "virtqemud")
      for drop_ins in ("", ".d/*.conf")),
    *(f"{folder}/systemd/system.conf{drop_ins}"
      for folder in ("etc", "run", "usr/lib")
      for drop_ins in ("", ".d/*.conf")),
)  # fmt: skip

# Menus of GRUB, of which the lines that load a kernel are stored.
MENUS = ("boot/efi/EFI/*/grub.cfg", "boot/grub/grub.cfg", "boot/grub2/grub.cfg")

# libvirt's domains, of which the names and the devices are stored, and no password.
DOMAINS = ("etc/libvirt/qemu/*.xml", "run/libvirt/qemu/*.xml")

# Links, kept as they are: what they point to tells where a thing hangs.
LINKS = (
    "etc/grub2-efi.cfg", "etc/grub2.cfg",
    "sys/bus/pci/drivers/*/module",
    "sys/class/block/*", "sys/class/mdev_bus/*",
    "sys/class/net/*", "sys/class/net/*/master", "sys/class/tty/tty[A-Z]*",
    "sys/bus/mdev/devices/*", "sys/bus/mdev/devices/*/mdev_type",
    "sys/class/nvme-subsystem/*/*",
    "sys/kernel/iommu_groups/*/devices/*",
)  # fmt: skip

# Whether they are there is all that is read: kept as empty files or folders.
NAMES = (
    "boot/efi/EFI/systemd/systemd-bootx64.efi", "boot/efi/loader/loader.conf",
    "boot/loader/entries/*", "boot/loader/loader.conf", "boot/vmlinuz-*",
    "efi/EFI/systemd/systemd-bootx64.efi", "efi/loader/loader.conf",
    "etc/default/grub.d/*", "etc/initramfs-tools", "etc/initramfs/post-update.d/*",
    *(f"{folder}/{tool}" for folder in ("usr/bin", "usr/sbin", "sbin")
      for tool in ("booster", "genkernel", "mkinitcpio", "mkinitfs")),
    "run/libvirt/qemu", "run/ostree-booted", "usr/bin/bootc", "usr/bin/rpm-ostree",
    "usr/bin/limine-update", "usr/bin/sdboot-manage",
    "etc/systemd/system/multi-user.target.wants/*", "etc/systemd/system/sockets.target.wants/*",
    "lib/modules/*", "lib/modules/*/vmlinuz",
    "proc/spl/kstat/zfs/*/*",
    "sys/class/block/*/holders/*", "sys/class/block/*/slaves/*", "sys/class/iommu/*",
    "sys/class/net/*/device", "sys/class/net/*/lower_*",
    "sys/firmware", "sys/firmware/acpi/tables", "sys/firmware/acpi/tables/DMAR",
    "sys/firmware/acpi/tables/IVRS", "sys/firmware/efi", "sys/fs/btrfs/*/devices/*",
    "usr/bin/dracut", "usr/bin/grub2-mkconfig", "usr/bin/grubby", "usr/bin/kernel-install",
    "usr/bin/kernelstub", "usr/bin/sdbootutil", "usr/bin/transactional-update",
    "usr/sbin/proxmox-boot-tool", "usr/sbin/sdbootutil",
    "usr/sbin/dracut", "usr/sbin/grub2-mkconfig", "usr/sbin/grubby", "usr/sbin/mkinitramfs",
    "usr/sbin/transactional-update", "usr/sbin/update-grub", "usr/sbin/update-initramfs",
)  # fmt: skip
