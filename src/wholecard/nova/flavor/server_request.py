"""A request for a server: flavor, image, and what the API was given."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Operation = Literal["create", "resize"]


@dataclass(frozen=True)
class ServerRequest:
    """A flavor's extra specs and sizes, and an image's properties. RAM in MiB, disk in GiB.

    `flavor` is None where extra specs alone are given. `source` is where it was read. `zone` is the
    availability zone that was asked for, None for none; where `zone_known` is false one may have
    been asked for.
    """

    flavor: str | None
    source: str
    extra_specs: Mapping[str, str]
    vcpus: int | None = None
    ram_mb: int | None = None
    disk_gb: int | None = None
    image: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    zone_known: bool = True
    operation: Operation = "create"

    @property
    def flavor_text(self) -> str:
        """The flavor in a sentence, after `the flavor`."""
        return self.flavor or "of the options"

    @property
    def flavor_argument(self) -> str:
        """The flavor in a command."""
        return shlex.quote(self.flavor) if self.flavor else "FLAVOR"
