"""What nova reads from a flavor and an image: extra specs, CPUs, NUMA, resources."""
