"""nova's configuration files: read with positions, and as oslo.config reads them."""
