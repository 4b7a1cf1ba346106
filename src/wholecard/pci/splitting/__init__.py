"""How a card can be given in parts: one file and one dated table for each vendor.

Nothing here was run on hardware: the tables are the vendors' own, with what others saw, and each
row says where it is from. `registry.py` asks all vendors, `together.py` says what excludes what.
"""
