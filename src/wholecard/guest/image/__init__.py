"""The parts of an image that Wholecard makes itself: archive, initramfs, disk, modules."""
