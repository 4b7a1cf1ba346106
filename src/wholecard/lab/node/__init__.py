"""The lab's hypervisor virtual machines."""
