"""All-pairs gravitation: the physics of NVIDIA's sample `nbody`, on every kind of device."""
