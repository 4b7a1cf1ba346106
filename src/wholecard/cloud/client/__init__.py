"""OpenStack's APIs: connection, errors, waiting, and what is read from them."""
