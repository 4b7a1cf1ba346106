"""The lab's nodes: hypervisors that are virtual machines."""
