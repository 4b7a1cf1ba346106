"""Which repair fits a disagreement, one file for each kind; `registry.py` has them by rule."""
