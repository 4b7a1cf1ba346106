"""The extra specs that a site's flavor has in nova, and the request that its servers make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wholecard.core.releases import Release
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.options import FLAVOR_KEYS, NUMA_POLICIES
from wholecard.site.model import SiteFlavor

_TRAIT = "trait:"
# Pages by their size in KiB, which nova of every release reads (nova/virt/hardware.py).
_PAGES = {"2M": "2048", "1G": "1048576"}
# The keys of a site's flavor that are an extra spec each.
SPEC_OF_KEY: Mapping[str, str] = MappingProxyType(
    {
        "cpu_policy": "hw:cpu_policy",
        "cpu_dedicated_mask": "hw:cpu_dedicated_mask",
        "cpu_thread_policy": "hw:cpu_thread_policy",
        "emulator_threads_policy": "hw:emulator_threads_policy",
        "numa_nodes": "hw:numa_nodes",
        "numa_policy": "hw:pci_numa_affinity_policy",
        "hugepages": "hw:mem_page_size",
        "locked_memory": "hw:locked_memory",
    }
)


def derived_specs(flavor: SiteFlavor) -> dict[str, str]:
    """The extra specs of the flavor's keys, without its own `extra_specs` and its address width."""
    specs = {f"{_TRAIT}{trait}": "required" for trait in flavor.required_traits}
    if flavor.cards:
        pairs = (f"{kind}:{count}" for kind, count in flavor.cards.items())
        specs["pci_passthrough:alias"] = ",".join(pairs)
    for key, spec in SPEC_OF_KEY.items():
        value = getattr(flavor, key)
        if key == "hugepages":
            value = _PAGES.get(value, value)
        if value is not None:
            specs[spec] = str(value).lower() if isinstance(value, bool) else str(value)
    return specs


def since(spec: str, value: str) -> int:
    """The first release, by nova's version, in which an extra spec with that value is read."""
    if spec.startswith(_TRAIT):
        return FLAVOR_KEYS[_TRAIT]
    if spec == "hw:cpu_policy" and value == "mixed":
        return FLAVOR_KEYS["hw:cpu_dedicated_mask"]
    if spec == "hw:pci_numa_affinity_policy":
        return max(FLAVOR_KEYS[spec], NUMA_POLICIES[value])
    return FLAVOR_KEYS[spec]


def flavor_request(name: str, flavor: SiteFlavor, release: Release) -> ServerRequest:
    """The request that a server of the flavor makes, of what the release reads."""
    derived = derived_specs(flavor)
    specs = {spec: text for spec, text in derived.items() if since(spec, text) <= release.nova}
    return ServerRequest(
        name, "site", {**specs, **flavor.extra_specs}, flavor.vcpus, flavor.ram, flavor.disk
    )


def in_site_words(text: str) -> str:
    """A text about extra specs with the site's keys: `cpu_policy: dedicated`."""
    for key, spec in SPEC_OF_KEY.items():
        text = text.replace(f"{spec}=", f"{key}: ").replace(spec, key)
    return text
