"""The four views of a cloud's cards (sysfs, libvirt, nova's database, Placement), compared."""
