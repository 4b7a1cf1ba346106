"""What is slow to build and therefore cached: root, environment, images, disk."""
