"""What can be the name of a kernel module: of a file, without its ending.

linux: include/linux/module.h, MODULE_NAME_LEN: 64 - sizeof(unsigned long). The rule is here as a
pattern for JSON and as a function for sysfs, because `inspect` does not load `re`.
"""

from __future__ import annotations

NAME_LIMIT = 64
MODULE = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}"
_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-")


def is_module_name(text: str) -> bool:
    """Whether the whole text is such a name: the same answer as `re.fullmatch(MODULE, text)`."""
    return 0 < len(text) <= NAME_LIMIT and _SIGNS.issuperset(text) and text[0] not in "-.+"
