"""The kernel command line that a desired state needs."""
