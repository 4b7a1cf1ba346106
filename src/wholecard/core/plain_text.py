"""Text of others on its way to a person: what could command a terminal is shown and not sent.

Hosts, services, settings and names of files are other people's texts. An escape in one of them
would set the title, clear the screen or fill the clipboard (OSC 52) of whoever reads it.
"""

from __future__ import annotations

# Spaces that `str.isprintable` does not count, and that command nothing.
_SPACES = "\xa0\u2007\u2009\u202f\u3000"
_INSTEAD = "\ufffd"


def plain(text: str, keep: str = "\n\t") -> str:
    """The text with a replacement for each character that could command a terminal.

    These are control characters, those that turn the direction of text, and bytes that were no
    UTF-8 (surrogates). One sign becomes one sign, so positions stay. Of the control characters
    those in `keep` stay: by default newline and tab, and no carriage return, because it would hide
    the text before it.
    """
    rest = text
    for sign in keep:
        rest = rest.replace(sign, "")
    if rest.isprintable():
        return text
    stays = _SPACES + keep
    return "".join([sign if sign.isprintable() or sign in stays else _INSTEAD for sign in text])
