"""A card between two tenants: reset, checked, its memory looked at."""
