"""Apply and roll back a repair, with its journal."""
