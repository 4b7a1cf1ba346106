"""A site on one page: its hosts, their pictures, its cards, and what prevents passthrough."""
