"""The files of nova's configuration, written and compared."""
