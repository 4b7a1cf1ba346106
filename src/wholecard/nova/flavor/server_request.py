"""A request for a server: flavor, image, what the API was told."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Operation = Literal["create", "resize"]


@dataclass(frozen=True)
class ServerRequest:
    """What is asked for: a flavor's and an image's words. RAM in MiB, disk in GiB.

    `flavor` is None where words alone are given. `source` says where it stands. `zone` is the
    availability zone that was asked for, None for none; where `zone_known` is false there may have
    been one.
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
    def flavor_said(self) -> str:
        """The flavor in a sentence, behind `the flavor`."""
        return self.flavor or "of the options"

    @property
    def flavor_typed(self) -> str:
        """The flavor in a command."""
        return shlex.quote(self.flavor) if self.flavor else "FLAVOR"
