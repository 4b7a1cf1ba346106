"""Text of others on its way to a person: what could command a terminal is shown and not sent.

Hosts, services, settings and names of files are other people's texts. An escape in one of them
would set the title, clear the screen or fill the clipboard (OSC 52) of whoever reads it.
"""

from __future__ import annotations

# Spaces that `str.isprintable` does not count, and that command nothing.
_HARMLESS = "\n\t\xa0\u2007\u2009\u202f\u3000"
_INSTEAD = "\ufffd"


def plain(text: str) -> str:
    """The text with a replacement for control characters, and for those that turn its direction.

    Newlines and tabs stay; a carriage return does not, because it would hide the text before it.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join([sign if sign.isprintable() or sign in _HARMLESS else _INSTEAD for sign in text])
