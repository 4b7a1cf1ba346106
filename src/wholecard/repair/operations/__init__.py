"""One file for each kind of repair, and what guards them all."""
