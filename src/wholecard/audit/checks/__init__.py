"""What disagrees, one file for each subject; `registry.py` lists all checks."""
