"""The lab's OpenStack services."""
