"""The one factory of a service's configuration, from options or from a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf


def parsed(text: str | bytes, path: str = "nova.conf") -> NovaConf:
    """A service whose one file has this text."""
    data = text.encode() if isinstance(text, str) else text
    return NovaConf((ConfFile.parse(data, path),))


def conf(path: str, **sections: Mapping[str, str | Iterable[str]]) -> NovaConf:
    """A service's file: sections of options, one with several values written several times."""
    return parsed(conf_text(**sections), path)


def conf_text(**sections: Mapping[str, str | Iterable[str]]) -> str:
    """The text of such a file, without a newline at its end."""
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for name, value in options.items():
            values = [value] if isinstance(value, str) else value
            lines += [f"{name} = {each}" for each in values]
    return "\n".join(lines)
