"""The claim at boot, in the initramfs of each distribution."""
