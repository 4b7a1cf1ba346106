"""clouds.yaml looked at before the SDK reads it: the kind of file, size, depth, aliases, profiles.

The SDK opens what it finds and copies what it reads: a pipe would be waited for, and a few lines of
aliases of aliases would fill the memory. It also fetches a profile that is a URL.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from openstack.config import vendors

from wholecard.core import UsageError
from wholecard.core.input_files import read_input

_MOST_BYTES = 1 << 20
_MOST_DEPTH = 32
_MOST_VALUES = 100_000


def refuse_odd_files(files: Iterable[str | Path]) -> None:
    """Raises UsageError for a file that exists and that no clouds.yaml is like.

    Broken YAML is left to the reader. No line of a file is quoted: it may have a password.
    """
    for file in map(Path, files):
        if file.exists():
            try:
                _count(read_input(file, _MOST_BYTES))
            except yaml.YAMLError:
                continue
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise UsageError(
                    f"cannot read {file}: {reason}", resolution="Name a clouds.yaml."
                ) from None


def refuse_remote_profile(cloud: str, entry: Any, own: Container[str]) -> None:
    """Raises UsageError where the SDK would fetch the entry's profile from a URL.

    Whoever answers there names the address to which the password goes. Some profiles that the SDK
    has are only a URL too: ovh, vexxhost (openstack/config/vendors/__init__.py, get_profile).
    `own` are the names in clouds-public.yaml, which the SDK takes first; `cloud` is the old name of
    the key `profile`.
    """
    fields = entry if isinstance(entry, dict) else {}
    profile = str(fields.get("profile", fields.get("cloud")) or "")
    # As the SDK tells a URL from a name.
    url = profile if urlsplit(profile).netloc else ""
    if not url and profile and profile not in own:
        url = str((vendors.get_profile(profile) or {}).get("profile") or "")
    if place := urlsplit(url).hostname:
        raise UsageError(
            f"the profile of the cloud {cloud} would be fetched from {place}",
            "That host would say where to log in. Wholecard reads a cloud's address only from "
            "files.",
            "Write auth_url into the cloud's entry and remove its profile; or save the profile in "
            "clouds-public.yaml, below public-clouds, and name it there.",
        )


def _count(data: bytes) -> None:
    """Raises ValueError if there are too many values, with all YAML aliases expanded."""
    sizes: dict[str | None, int] = {}
    above: list[tuple[str | None, int]] = []
    size = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for event in yaml.parse(data, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, size))
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            sizes[anchor] = size
            size += before
        elif isinstance(event, yaml.AliasEvent):
            size += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
        if len(above) > _MOST_DEPTH:
            raise ValueError(f"nested deeper than {_MOST_DEPTH} levels")
        if size > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values, aliases counted")
