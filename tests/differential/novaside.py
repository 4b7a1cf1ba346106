"""Answers of real nova: run with the Python of an environment that has nova, nothing of ours.

Reads cases as JSON lines on standard input, writes one answer a line. All that decides is nova's
own code; only the host is not real: `nova.pci.utils` sees a sysfs made of the case's devices.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import types
import uuid

logging.disable(logging.CRITICAL)

import jsonschema  # noqa: E402
from nova.compute import pci_placement_translator as translator  # noqa: E402
from nova.compute import provider_tree  # noqa: E402
from nova.pci import manager, request, stats, utils, whitelist  # noqa: E402

import nova.conf  # noqa: E402
from nova import exception, objects  # noqa: E402

CONF = nova.conf.CONF
HOST = "node1"
DEVICES = "/sys/bus/pci/devices/"
NETS = "/sys/class/net/"


class Sysfs:
    """A sysfs of the case's devices, in the place of `os` and `open` of nova.pci.utils."""

    def __init__(self, case):
        self.types = {each["address"]: each["dev_type"] for each in case["devices"]}
        self.vendors = {each["address"]: each["vendor_id"] for each in case["devices"]}
        self.interfaces = case["interfaces"]
        self.path = types.SimpleNamespace(isdir=self.isdir, join=lambda *parts: "/".join(parts))

    def address(self, path):
        """The address whose folder or file this is, None for none."""
        if path.startswith(DEVICES):
            address = path[len(DEVICES) :].split("/")[0]
            return address if address in self.types else None
        if path.startswith(NETS):
            return self.interfaces.get(path[len(NETS) :].split("/device")[0])
        return None

    def isdir(self, path):
        return self.address(path) is not None

    def readlink(self, path):
        return "../../../" + self.interfaces[path[len(NETS) :].split("/device")[0]]

    def open(self, path):
        address, name = self.address(path), path.rstrip("/").rpartition("/")[2]
        texts = {"vendor": f"0x{self.vendors.get(address)}\n"}
        if self.types.get(address) == "type-PF":
            texts.update(sriov_totalvfs="8\n", sriov_vf_device="101e\n")
        if address is None or name not in texts:
            raise FileNotFoundError(path)
        return io.StringIO(texts[name])


def refused(error):
    return {"refused": type(error).__name__}


def read_specs(texts):
    """Each value by itself, and all good ones together as nova-compute has them."""
    answers, specs = [], []
    for text in texts:
        try:
            found = whitelist.Whitelist([text]).specs
        except Exception as error:
            answers.append(refused(error))
            continue
        answers.append(found)
        specs += found
    both = whitelist.Whitelist()
    both.specs = specs
    return answers, both


def hypervisor_device(device):
    """What the libvirt driver would say of it."""
    found = {
        "dev_id": "pci_" + device["address"].replace(":", "_").replace(".", "_"),
        "label": "label_" + device["vendor_id"] + "_" + device["product_id"],
        **{
            key: device[key]
            for key in ("address", "vendor_id", "product_id", "dev_type", "numa_node")
        },
    }
    if device["parent_addr"]:
        found["parent_addr"] = device["parent_addr"]
    if device["serial"]:
        found["capabilities"] = {"vpd": {"card_serial_number": device["serial"]}}
    return found


def matches(spec, device):
    try:
        return bool(spec.match(device))
    except exception.PciConfigInvalidSpec:
        return "unreadable"


def tracker_of(case, dev_filter, topology):
    """nova-compute's tracker, without a database, told of the hypervisor's devices."""
    tracker = manager.PciDevTracker.__new__(manager.PciDevTracker)
    tracker._context = None
    tracker.node_id = 1
    tracker.dev_filter = dev_filter
    tracker.stale = {}
    tracker.to_be_removed_when_freed = {}
    tracker.pci_devs = objects.PciDeviceList(objects=[])
    tracker.stats = stats.PciDeviceStats(topology, dev_filter=dev_filter)
    devices = [hypervisor_device(each) for each in case["devices"]]
    tracker.update_devices_from_hypervisor_resources(json.dumps(devices))
    return tracker


def providers_of(tracker):
    """What Placement is told: providers by name, and the address behind each uuid."""
    tree = provider_tree.ProviderTree()
    tree.new_root(HOST, str(uuid.UUID(int=1)))
    try:
        translator.update_provider_tree_for_pci(tree, HOST, tracker, {}, [])
    except Exception as error:
        return refused(error), {}
    found, addresses = {}, {}
    for each in tree.get_provider_uuids():
        data = tree.data(each)
        if data.name == HOST:
            continue
        ((resource_class, inventory),) = data.inventory.items()
        found[data.name] = [resource_class, inventory["total"], sorted(data.traits)]
        addresses[data.name.rpartition("_")[2].lower()] = each
    return found, addresses


def aliases_of():
    read = getattr(request, "get_alias_from_config", None) or request._get_alias_from_config
    getattr(read, "cache_clear", lambda: None)()
    try:
        found = read()
    except Exception as error:
        return refused(error)
    return {
        name: [policy, [dict(each) for each in specs]] for name, (policy, specs) in found.items()
    }


def requests_of(case):
    flavor = objects.Flavor(extra_specs={"pci_passthrough:alias": case["request"]})
    try:
        return request.get_pci_requests_from_flavor(flavor, affinity_policy=case["policy"]).requests
    except Exception as error:
        return refused(error)


def groups_of(requests):
    spec = objects.RequestSpec(requested_resources=[])
    spec.pci_requests = objects.InstancePCIRequests(requests=requests)
    try:
        spec.generate_request_groups_from_pci_requests()
        return [
            [sorted(each.resources.items()), sorted(each.required_traits)]
            for each in spec.requested_resources
        ]
    except Exception as error:
        return refused(error)


def chosen(case, requests, uuids):
    """Placement's choice: as a mapping, or stored in the requests as after scheduling."""
    if case["mapping"] is None:
        return None
    mapping = {}
    for each, addresses in zip(requests, case["mapping"]):
        found = [uuids.get(address, "unknown-" + address) for address in addresses]
        if case["stored"] and found:
            each.spec = [dict(each.spec[0], rp_uuids=",".join(found)), *each.spec[1:]]
        for number, one in enumerate(found):
            mapping[f"{each.request_id}-{number}"] = [one]
    return None if case["stored"] else mapping


def pools_seen(tracker, topology):
    """The statistics as the scheduler reads them, or nova-compute's own where it cannot report."""
    try:
        return stats.PciDeviceStats(
            topology, stats=tracker.stats.to_device_pools_obj(), dev_filter=tracker.dev_filter
        ), True
    except Exception:
        return tracker.stats, False


def plain_pools(seen, addresses):
    found = []
    for pool in seen.pools:
        plain = {key: value for key, value in pool.items() if key not in ("devices", "rp_uuid")}
        found.append([plain, addresses.get(pool.get("rp_uuid"))])
    return found


def supports(seen, requests, mapping, cells):
    try:
        return bool(seen.support_requests(requests, mapping, cells))
    except Exception as error:
        return refused(error)


def topology_of(case):
    if case["host_cells"] is None:
        return None
    cells = [objects.NUMACell(id=each, socket=socket) for each, socket in case["host_cells"]]
    return objects.NUMATopology(cells=cells)


def answer(case):
    sysfs = Sysfs(case)
    utils.os, utils.open = sysfs, sysfs.open
    CONF.set_override("report_in_placement", case["report"], "pci")
    CONF.set_override("pci_in_placement", case["pci_in_placement"], "filter_scheduler")
    CONF.set_override("alias", case["aliases"], "pci")
    read, dev_filter = read_specs(case["specs"])
    devices = [hypervisor_device(each) for each in case["devices"]]
    topology = topology_of(case)
    tracker = tracker_of(case, dev_filter, topology)
    given = {
        each.address: next(
            at for at, spec in enumerate(dev_filter.specs) if spec is dev_filter.get_devspec(each)
        )
        for each in tracker.pci_devs
    }
    providers, uuids = providers_of(tracker)
    result = {
        "specs": [
            each
            if isinstance(each, dict)
            else [[matches(spec, device) for device in devices] for spec in each]
            for each in read
        ],
        "given": [given.get(each["address"]) for each in case["devices"]],
        "providers": providers,
        "aliases": aliases_of(),
    }
    seen, result["reportable"] = pools_seen(tracker, topology)
    result["pools"] = plain_pools(seen, {value: key for key, value in uuids.items()})
    requests = requests_of(case)
    if isinstance(requests, dict):
        return {**result, "requests": requests}
    result["requests"] = [
        [each.alias_name, each.count, [dict(spec) for spec in each.spec], each.numa_policy]
        for each in requests
    ]
    result["groups"] = groups_of(requests)
    mapping = chosen(case, requests, uuids)
    cells = None
    if case["cells"] is not None:
        cells = [objects.InstanceNUMACell(id=each) for each in case["cells"]]
    result["supports"] = supports(seen, requests, mapping, cells)
    return result


def check_schema_once():
    """Let jsonschema hold nova's own schema against the schema of schemas once, not every time.

    That is two thirds of the time otherwise, and is the same each time.
    """
    validator = jsonschema.validators.validator_for(request._ALIAS_SCHEMA)
    validator.check_schema(request._ALIAS_SCHEMA)
    validator.check_schema = lambda schema: None


def main():
    check_schema_once()
    objects.register_all()
    CONF([], project="nova", default_config_files=[], default_config_dirs=[])
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), sort_keys=True))


if __name__ == "__main__":
    main()
