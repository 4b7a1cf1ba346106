"""A card between two tenants: reset, looked at, given back."""
