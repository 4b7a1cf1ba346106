"""What the cards of a guest can do: n-body on all of them, and bandwidth to and between them.

A package of its own, so that a guest installs it without the rest of Wholecard.
"""

__version__ = "0.1.0"
