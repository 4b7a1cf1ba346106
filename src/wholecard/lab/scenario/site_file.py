"""The lab's own site file and its nodes' facts beside it, and what is rendered from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wholecard.host.facts.saved import read_host
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.parts import guest_image
from wholecard.lab.parts.images import GUEST_DISK
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.render.drop_in_file import PciConfig
from wholecard.pci import Card
from wholecard.site.load import SiteFile, read_site


def site_path(lab: Lab) -> Path:
    """The site file; hosts' facts lie in its folder."""
    return lab.folder.run / "site/site.yaml"


def facts_file(node: str) -> str:
    """The name of the file with a node's facts, as `inspect --json` printed them there."""
    return f"{node}.json"


def kept_facts(lab: Lab) -> dict[str, str]:
    """The facts (JSON, by name) of the lab's nodes that lie beside the site file."""
    paths = {spec.name: site_path(lab).with_name(facts_file(spec.name)) for spec in lab.nodes}
    return {name: path.read_text() for name, path in paths.items() if path.is_file()}


def host_cards(lab: Lab, node: str) -> tuple[Card, ...]:
    """The cards of a node by its facts; none where there are no facts of it."""
    path = site_path(lab).with_name(facts_file(node))
    return read_host(path).cards if node and path.is_file() else ()


def write_site(lab: Lab, facts: Mapping[str, str]) -> SiteFile:
    """Write nodes' facts (JSON, by name) and the site file, and read it; raises WholecardError."""
    files = {node: facts_file(node) for node in facts}
    for node, text in facts.items():
        path = site_path(lab).with_name(files[node])
        service_settings.write_private(path, text)
        read_host(path)
    text = lab.settings.render(
        "site.yaml.j2", hosts=files, image=lab.parts.guest / GUEST_DISK,
        guest_image=lab.parts.guest_image / guest_image.DISK,
    )  # fmt: skip
    service_settings.write_private(site_path(lab), text)
    return read_site(site_path(lab))


def cards_config(file: SiteFile) -> PciConfig:
    """What nova has to know about the cards of a node; the lab's nodes have the same cards."""
    return pci_configs(file.site, file.facts(), file.release)[GPU_NODE.name]
