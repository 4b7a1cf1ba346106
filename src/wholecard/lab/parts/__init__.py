"""What is slow to build and is cached: root, environment, images, disk."""
