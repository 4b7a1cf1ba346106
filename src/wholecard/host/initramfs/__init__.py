"""The claim at boot, in the initramfs of each distribution; `registry` has one row a tool."""
