"""HTML pages of one look: each is one file that loads nothing else and has no script."""
