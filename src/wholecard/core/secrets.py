"""Passwords and tokens taken out of texts: settings, command lines, what libraries say.

By hand and not by `re`, whose import takes longer than `inspect` reads a host's settings.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED = "REDACTED"

# A name with one of these in it has a secret value, and one that has one of those as a part of its
# own between dots, dashes and underscores: `rd.znet_pass` is one and `bypass` is none.
_IN_NAME = (
    "password", "passwd", "passphrase", "passcode", "secret", "token", "credential", "apikey",
    "api_key", "api-key", "private_key", "private-key", "pbkdf2",
)  # fmt: skip
_PARTS = frozenset({"pass", "pw", "pwd", "psk"})

# Shorter secrets are cut out where they are words: else the password `a` would eat every a.
_SHORT = 8


def names_secret(name: str) -> bool:
    """Whether a word of this name, or an option, has a secret as its value."""
    lower = name.lower()
    if any(word in lower for word in _IN_NAME):
        return True
    return not _PARTS.isdisjoint(lower.replace(".", "_").replace("-", "_").split("_"))


def redacted(text: str) -> str:
    """The text of a file or a command line without the values of words that name a secret.

    Users and passwords in URLs, and those of dracut's `netroot=iscsi:USER:PASSWORD@...`
    (dracut.cmdline(7)), are taken out too. All else stays as it is.
    """
    pieces = []
    done = 0
    equals = text.find("=")
    while equals >= 0:
        start = equals
        while start > done and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
            start -= 1
        end = _value_end(text, equals + 1) if names_secret(text[start:equals]) else equals + 1
        if end > equals + 1:
            pieces += [text[done : equals + 1], REDACTED]
            done = end
        equals = text.find("=", end)
    if pieces:
        text = "".join([*pieces, text[done:]])
    return without_userinfo(text, REDACTED) if "@" in text else text


def _value_end(text: str, start: int) -> int:
    """Where a value ends that begins at `start`: with its closing quote, or before a space."""
    for quote in ('\\"', '"', "'"):
        if text.startswith(quote, start):
            closing = text.find(quote, start + len(quote))
            return closing + len(quote) if closing >= 0 else len(text)
    end = start
    while end < len(text) and not text[end].isspace() and text[end] not in "\"'":
        end += 1
    return end


def without_userinfo(text: str, mark: str = "***") -> str:
    """The text without the user and password of its URLs.

    A password may contain / and @, so it ends at the last @ of the word; but `host:8774/a@b` is a
    port and no password.
    """
    if "://" not in text and "iscsi:" not in text:
        return text
    import re

    port = r"(?!\d{1,5}(?:[/?#\s,]|$))"
    text = re.sub(rf"://(?:[^\s/?#@\[]*:{port}\S*@|[^\s/?#]*@)", f"://{mark}@", text)
    return re.sub(r"\biscsi:[^\s@:\"']+:[^\s@\"']+@", f"iscsi:{mark}@", text)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with these secrets and the userinfo of URLs replaced by `***`."""
    import re

    for secret in sorted({*secrets} - {""}, key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, "***")
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return without_userinfo(text)
