"""nova's cell databases as a repair writes them: accounts, errors, rows of `pci_devices`."""
