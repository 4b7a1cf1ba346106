"""The page of error texts, from the sentences that `explain` knows: docs/reference/error-texts.md.

uv run --frozen python scripts/docs/error_texts_page.py
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from wholecard.explain.live_refusals import LIVE, LIVE_MESSAGES
from wholecard.explain.refusals import HYPERVISOR, MESSAGES

PAGE = Path(__file__).parents[2] / "docs/reference/error-texts.md"
_HEAD = """\
# Error texts of nova, libvirt, QEMU and the kernel

Search this page for a part of the text that you have: from `openstack server show` (the fault), \
from nova-compute's log, or from libvirt's. `wholecard explain --cloud CLOUD --server ID` reads \
the fault itself, and says more. An ellipsis is a part that differs from case to case.

For `No valid host was found` start with [no valid host](../how-to/no-valid-host.md).
"""
# What kinds mean that need no look at a host.
_OTHERS = {
    "alias-not-defined": ("nova-api does not know the alias that the flavor requests.", "WC303"),
    "alias-refused": ("nova refuses an alias in [pci], and with it all aliases.", "WC304"),
    "quota": ("A quota of the project is used up.", ""),
    "scheduler-found-no-card": ("No host has a free card that fits the request.", "WC318"),
    "no-candidate": ("Placement has no host with what is requested.", ""),
    "filtered": ("A filter of nova-scheduler removed the last host.", ""),
    "hosts-refused": ("Every host that was tried refused the server; the first reason counts.", ""),
    "no-host": ("nova-scheduler found no host.", ""),
    "claim-cards": ("The card was taken between scheduling and the claim on the host.", "WC318"),
    "claim-numa": ("The guest's NUMA topology does not fit the host.", ""),
    "nova-record": ("nova's own record of the card disagrees with the host's.", ""),
    "detach": ("A server with cards cannot be suspended.", ""),
}


def page() -> str:
    """The page: for each kind its texts, what they mean, a fix, and the pages of its rules."""
    texts: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for kind, pattern, source in (*MESSAGES, *LIVE_MESSAGES):
        texts.setdefault(kind, []).extend(readable(pattern))
        sources.setdefault(kind, []).append(source)
    return "\n".join([_HEAD, *(_section(kind, texts[kind], sources[kind]) for kind in texts)])


def _section(kind: str, texts: list[str], sources: list[str]) -> str:
    """A kind's section, with its first text as the title: that is what people search for."""
    why, fix, rules = _meaning(kind)
    links = ", ".join(f"[{rule}](../rules/{rule}.md)" for rule in rules)
    more = "\n".join(f"    {text}" for text in texts[1:])
    blocks = [f"## {texts[0]}", f"Also:\n\n{more}" if more else "", _sentence(why), *_fix(fix)]
    blocks += [f"See {links}." if links else "", f"Said in: {'; '.join(sources)}."]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _meaning(kind: str) -> tuple[str, str, tuple[str, ...]]:
    for known, cause in (*HYPERVISOR.items(), *LIVE.items()):
        if known == kind:
            return cause.why, cause.fix, cause.rules
    why, rule = _OTHERS[kind]
    return why, "", (rule,) if rule else ()


def readable(pattern: str) -> list[str]:
    """The texts that a pattern finds, without the signs of regular expressions."""
    texts = []
    for text in _expanded(pattern):
        plain = re.sub(r"\{\d+(?:,\d*)?\}|\$", "", text.replace("\\s*", " "))
        plain = re.sub(r"\[(\w)\w\]", r"\1", plain)
        plain = re.sub(r"(?:\.|\\[Swd]|\[\^?[^]]*\])[+*?]?", "…", re.sub(r"\\\.", "\0", plain))
        plain = re.sub(r"\\(.)", r"\1", plain).replace("\0", ".").replace("?", "")
        texts.append(re.sub(r"…[…: ]*…", "…", plain).strip(' "'))
    return list(dict.fromkeys(filter(None, texts)))


def _expanded(pattern: str) -> list[str]:
    """A pattern without groups for each of its alternatives."""
    group = re.search(r"(?<!\\)\((?:\?:)?((?:[^()\\]|\\.)*)\)\??", pattern)
    if group is None:
        return re.split(r"(?<!\\)\|", pattern)
    before, after = pattern[: group.start()], pattern[group.end() :]
    pieces = re.split(r"(?<!\\)\|", group[1])
    return [text for (piece,) in product(pieces) for text in _expanded(before + piece + after)]


def _fix(text: str) -> list[str]:
    """The fix's sentences, and its commands as blocks of their own."""
    blocks: list[str] = []
    for line in text.replace("{host}", "HOST").splitlines():
        if line.startswith("    "):
            blocks.append(line)
        else:
            blocks.append(_sentence(line if blocks else f"Fix: {line[:1].upper()}{line[1:]}"))
    return blocks


def _sentence(text: str) -> str:
    # Programs keep their names: nova-compute, libvirt.
    head = text[:1] if text.startswith(("nova", "libvirt", "vfio")) else text[:1].upper()
    return text and f"{head}{text[1:]}{'' if text.endswith(('.', ':')) else '.'}"


if __name__ == "__main__":
    PAGE.write_text(page())
