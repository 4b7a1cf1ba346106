"""The lab's own site file and the node's facts beside it, and what is rendered from the two."""

from __future__ import annotations

from pathlib import Path

from wholecard.host.facts.saved import read_host
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.parts.images import GUEST_DISK
from wholecard.lab.parts.root_filesystem import NODE_NAME
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.render.drop_in_file import PciConfig
from wholecard.site.load import SiteFile, read_site

FACTS = f"{NODE_NAME}.json"


def site_path(lab: Lab) -> Path:
    """The site file; hosts' facts lie in its folder."""
    return lab.place.run / "site/site.yaml"


def facts_path(lab: Lab) -> Path:
    """The node's facts, as `inspect --json` printed them there."""
    return lab.place.run / "site" / FACTS


def write_site(lab: Lab, facts: str) -> SiteFile:
    """Write the site file with the facts (JSON) of its one host, and read it.

    Raises SiteError where the facts are none.
    """
    values = {"host": NODE_NAME, "facts": FACTS, "image": lab.parts.guest / GUEST_DISK}
    service_settings.write_private(facts_path(lab), facts)
    service_settings.write_private(site_path(lab), lab.settings.render("site.yaml.j2", **values))
    read_host(facts_path(lab))
    return read_site(site_path(lab))


def cards_config(file: SiteFile) -> PciConfig:
    """What nova has to know about the node's cards."""
    return pci_configs(file.site, file.facts(), file.release)[NODE_NAME]
