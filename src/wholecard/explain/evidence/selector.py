"""What a person asks about, with the person's own changes. No OpenStack is loaded for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wholecard.nova.flavor.server_request import ServerRequest


@dataclass(frozen=True)
class Changes:
    """What a person sets besides a flavor, an image or a server; what is empty does not change.

    Sizes are MiB and GiB.
    """

    specs: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    vcpus: int | None = None
    ram_mb: int | None = None
    disk_gb: int | None = None

    def applied_to(self, request: ServerRequest) -> ServerRequest:
        """The request with these changes."""
        return replace(
            request,
            extra_specs={**request.extra_specs, **self.specs},
            properties={**request.properties, **self.properties},
            zone=self.zone or request.zone,
            zone_known=bool(self.zone) or request.zone_known,
            vcpus=request.vcpus if self.vcpus is None else self.vcpus,
            ram_mb=request.ram_mb if self.ram_mb is None else self.ram_mb,
            disk_gb=request.disk_gb if self.disk_gb is None else self.disk_gb,
        )


@dataclass(frozen=True)
class ServerSelector:
    """What a person asks about: a flavor by name or a server by id, an image, and only some hosts.

    A flavor beside a server is the one that it was to be resized to. `changes` are the person's.
    """

    flavor: str = ""
    server: str = ""
    image: str = ""
    hosts: tuple[str, ...] = ()
    changes: Changes = field(default_factory=Changes)
