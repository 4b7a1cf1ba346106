"""Apply and roll back on a cloud, with its journal."""
