"""VFIO by the host's facts, and the sentences of nova, libvirt, QEMU and the kernel as causes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support import hosts
from support.small_cloud import SPEC, api, card, cloud, compute, facts, host, request, scheduler
from wholecard.explain.evidence.evidence import Evidence, Refusal
from wholecard.explain.explain import Explanation, explain
from wholecard.explain.refusals import HYPERVISOR, cause_of, kind_of
from wholecard.host.facts.host import Host, Iommu
from wholecard.pci import Function

AUDIO = "10de:22bd"


def answer(evidence: Evidence) -> tuple[str, str]:
    """The rule of the only host's failure, or the rule of a result that passed; and the words."""
    (only,) = explain(evidence).hosts
    result = only.failed or next((one for one in only.checks if one.rule), None)
    return (result.rule, result.says) if result else ("", "")


def on(host_facts: Host, **fields: Any) -> Evidence:
    """The small cloud with this host."""
    return cloud(hosts=(host(facts=host_facts, **fields),))


def with_audio(driver: str | None, gpu: str | None = "vfio-pci", **fields: Any) -> Host:
    """A host of one card: its GPU and its audio function in one group."""
    functions = (
        replace(card("0000:41:00.0"), driver=gpu),
        hosts.function("0000:41:00.1", AUDIO, "040300", driver=driver),
    )
    return replace(facts(functions), **fields)


@pytest.mark.parametrize(
    ("host_facts", "conf", "rule", "words"),
    [
        pytest.param(with_audio("vfio-pci"), SPEC, "", "", id="ready"),
        pytest.param(with_audio(None), SPEC, "", "", id="audio without a driver"),
        pytest.param(with_audio("snd_hda_intel"), SPEC, "WC340", "0000:41:00.1 is on snd_hda_intel",
                     id="audio on the host's driver"),
        pytest.param(with_audio("vfio-pci", "nvidia"), SPEC, "", "",
                     id="libvirt takes the card's own driver away"),
        pytest.param(with_audio("vfio-pci", "nvidia"), SPEC[:-1] + ', "managed": "false"}',
                     "WC340", "managed false", id="where libvirt binds nothing"),
        pytest.param(with_audio("vfio-pci", iommu=Iommu("vt-d", on=False)), SPEC, "WC340",
                     "the kernel does not use it", id="IOMMU off"),
        pytest.param(with_audio("vfio-pci", iommu=Iommu("vt-d", True, False)), SPEC, "WC340",
                     "no interrupt remapping", id="no interrupt remapping"),
        pytest.param(with_audio(None, None, boot=hosts.boot(missing=("vfio_pci",))), SPEC,
                     "WC340", "no vfio_pci", id="no vfio-pci"),
    ],
)  # fmt: skip
def test_vfio_by_facts(host_facts: Host, conf: str, rule: str, words: str) -> None:
    """Facts that are at hand are used: IOMMU, drivers and groups."""
    found = answer(on(host_facts, conf=compute(conf)))
    assert found[0] == rule
    assert words in found[1]


def test_a_host_without_facts_is_not_ticked() -> None:
    """Without facts VFIO is not known, and says how to let us know."""
    (only,) = explain(cloud(hosts=(host(facts=None),))).hosts
    (result,) = [one for one in only.checks if one.name == "VFIO"]
    assert (result.state, result.fix[:7]) == ("unknown", "--facts")


def test_a_card_that_is_not_ready_beside_one_that_is() -> None:
    """One of two cards is ready: the host takes the server, with a note."""
    ready = (card("0000:41:00.0"), hosts.function("0000:41:00.1", AUDIO, "040300"))
    other = (card("0000:c1:00.0", 1),
             hosts.function("0000:c1:00.1", AUDIO, "040300", driver="snd_hda_intel"))  # fmt: skip
    (only,) = explain(on(facts((*ready, *other)))).hosts
    (result,) = [one for one in only.checks if one.name == "VFIO"]
    assert only.answer == "yes"
    assert "0000:c1:00.1 is on snd_hda_intel" in result.warning


# What a person pastes: the kind, and the sentence as nova, libvirt, QEMU or the kernel writes it.
SENTENCES = [
    ("claim-cards", "Insufficient compute resources: Claim pci failed."),
    ("claim-numa", "Insufficient compute resources: Requested instance NUMA topology together with "
     "requested PCI devices cannot fit the given host NUMA topology."),
    ("scheduler-found-no-card", "PCI device request [InstancePCIRequest(alias_name='t4',count=1)] "
     "failed"),
    ("nova-record", "PCI device 1:0000:41:00.0 is allocated instead of available"),
    ("nova-record", "PCI device 1:0000:41:00.0 is owned by 5d1f instead of 77aa"),
    ("nova-record", "PCI Device 1:0000:41:00.0 not found."),
    ("nova-record", "PCI device 17 not found"),
    ("nova-record", "Attempt to consume PCI device 1:0000:41:00.0 from empty pool"),
    ("nova-record", "Not all Virtual Functions of PF 1:0000:41:00.0 are free."),
    ("nova-record", "Physical Function 1:0000:41:00.0, related to VF 1:0000:41:00.2 is allocated "
     "instead of ['available']"),
    ("detach", "Failed to detach PCI device PciDevice(address='0000:41:00.0'): timeout"),
    ("iommu-off", "unsupported configuration: host doesn't support passthrough of host PCI "
     "devices"),
    ("iommu-off", "unsupported configuration: host doesn't support VFIO PCI passthrough"),
    ("iommu-off", "vfio 0000:41:00.0: no iommu_group found: No such file or directory"),
    ("interrupts", "vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module "
     'param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform'),
    ("interrupts", "vfio-pci 0000:41:00.0: MSI interrupts are not secure, they cannot be isolated "
     "by the platform. Check that platform features like interrupt remapping are enabled."),
    ("reserved-region", "vfio-pci 0000:41:00.0: Device is ineligible for IOMMU domain attach due "
     "to platform RMRR requirement.  Contact your platform vendor."),
    ("reserved-region", "vfio-pci 0000:41:00.0: Firmware has requested this device have a 1:1 "
     "IOMMU mapping, rejecting configuring the device without a 1:1 mapping."),
    ("denied-model", "vfio-pci 0000:41:00.0: 8086:0435 exists in vfio-pci device denylist, driver "
     "probing disallowed."),
    ("not-endpoint", "unsupported configuration: Non-endpoint PCI devices cannot be assigned to "
     "guests"),
    ("not-endpoint", "internal error: Invalid attempt to reset PCI device 0000:40:00.0. Only PCI "
     "endpoint devices can be reset"),
    ("not-endpoint", "vfio 0000:40:00.0: assignment of PCIe type 0x6 devices is not currently "
     "supported"),
    ("shared-group", "vfio 0000:41:00.1: group 1 used in multiple address spaces"),
    ("not-viable", "vfio 0000:88:00.0: group 12 is not viable"),
    ("not-viable", "Please ensure all devices within the iommu_group are bound to their vfio bus "
     "driver."),
    ("not-viable", "Verify all devices in group 12 are bound to vfio-<bus> or pci-stub and not "
     "already in use"),
    ("group-busy", "vfio 0000:41:00.0: failed to open /dev/vfio/12: Device or resource busy"),
    ("group-busy", "vfio 0000:41:00.0: Could not open '/dev/vfio/12': Device or resource busy"),
    ("group-access", "vfio 0000:41:00.0: failed to open /dev/vfio/12: Permission denied"),
    ("group-access", "vfio 0000:41:00.0: Could not open '/dev/vfio/12': No such file or directory"),
    ("group-access", "unable to set user and group to '107:107' on '/dev/vfio/12': No such file or "
     "directory"),
    ("in-use", "Requested operation is not valid: PCI device 0000:41:00.0 is in use by driver "
     "QEMU, domain instance-00000012"),
    ("in-use", "internal error: Device 0000:41:00.0 is already in use"),
    ("in-use", "internal error: Not detaching active device 0000:41:00.0"),
    ("in-use", "vfio 0000:41:00.0: error getting device from group 12: Device or resource busy "
     "Verify all devices in group 12 are bound to vfio-<bus> or pci-stub and not already in use"),
    ("unbind", "vfio 0000:41:00.0: error getting device from group 12: No such device "
     "Verify all devices in group 12 are bound to vfio-<bus> or pci-stub and not already in use"),
    ("unbind", "Failed to unbind PCI device '0000:41:00.0' from nvidia: Device or resource busy"),
    ("unbind", "Failed to bind PCI device '0000:41:00.0' to vfio-pci: No such device"),
    ("unbind", "Failed to add PCI device ID '10de 2330' to vfio-pci: File exists"),
    ("unbind", "Failed to add driver 'vfio-pci' to driver_override interface of PCI device "
     "'0000:41:00.0': No such device"),
    ("unbind", "Failed to trigger a probe for PCI device '0000:41:00.0': Invalid argument"),
    ("unmanaged", "Requested operation is not valid: Unmanaged PCI device 0000:41:00.0 must be "
     "manually detached from the host"),
    ("reset", "internal error: Unable to reset PCI device 0000:41:00.0: no FLR, PM reset or bus "
     "reset available"),
    ("reset", "internal error: Active 0000:41:00.1 devices on bus with 0000:41:00.0, not doing bus "
     "reset"),
    ("reset", "vfio: Cannot reset device 0000:41:00.0, depends on group 13 which is not owned."),
    ("reset", "vfio: Cannot reset device 0000:41:00.0, no available reset mechanism."),
    ("no-answer", "internal error: Unknown PCI header type '127' for device '0000:41:00.0'"),
    ("no-answer", "vfio-pci 0000:41:00.0: not ready 65535ms after bus reset; giving up"),
    ("no-answer", "vfio-pci 0000:41:00.0: Unable to change power state from D3cold to D0, device "
     "inaccessible"),
    ("reshape", "Resource provider inventory and allocation data migration failed: {\"errors\": "
     "[{\"status\": 409, \"title\": \"Conflict\"}]}"),
    ("reshape", "Resource provider data migration failed fatally during startup for node gpu-01."),
    ("no-answer", "vfio: Unable to power on device, stuck in D3"),
    ("no-answer", "internal error: Failed to read PCI config space for 0000:41:00.0"),
    ("no-answer", "vfio 0000:41:00.0: failed to read device config space: Input/output error"),
    ("no-answer", "vfio 0000:41:00.0: error getting device from group 12: Input/output error"),
    ("memlock", "cannot limit locked memory of process 4711 to 70866960384: Operation not "
     "permitted"),
    ("memlock", "vfio_pin_pages_remote: RLIMIT_MEMLOCK (67108864) exceeded"),
    ("memlock", "qemu-kvm: VFIO_MAP_DMA failed: Cannot allocate memory"),
    ("memlock", "vfio_dma_map(0x55d0, 0x0, 0xa0000, 0x7f1c) = -12 (Cannot allocate memory)"),
    ("memlock", "vfio 0000:04:00.2: failed to setup container for group 39: memory listener "
     "initialization failed: Region pc.ram: vfio_container_dma_map(0x55d1, 0x0, 0x80000000, 0x7fb9)"
     " = -12 (Cannot allocate memory)"),
    ("dma-map", "VFIO_MAP_DMA failed: Bad address"),
    ("dma-map", "memory listener initialization failed: Region pc.ram: vfio_dma_map(0x5, 0x1, 0x2,"
     " 0x7) = -22 (Invalid argument)"),
    ("dma-map", "vfio 0000:41:00.0: failed to setup container for group 12: memory listener "
     "initialization failed: Region pc.ram: Container 0x55d0 can't map guest IOVA region 0x0..0x9"),
    ("dma-map", "qemu: hardware error: vfio: DMA mapping failed, unable to continue"),
    ("container", "vfio 0000:41:00.0: failed to setup container for group 12: Failed to set iommu "
     "for container: Operation not permitted"),
    ("container", "vfio 0000:41:00.0: failed to setup container for group 13: Failed to set group "
     "container: Invalid argument"),
    ("address-width", "Address space limit 0xffffffffff < 0x2087fffffff phys-bits too low (40)"),
    ("no-vfio", "internal error: Failed to load PCI driver module vfio-pci: modprobe: FATAL: "
     "Module vfio-pci not found in directory /lib/modules/6.1"),
    ("no-vfio", "internal error: Failed to load PCI stub module vfio-pci: administratively "
     "prohibited"),
    ("no-vfio", "internal error: pci driver 'nvgrace_gpu_vfio_pci' supposedly loaded by module "
     "'nvgrace_gpu_vfio_pci' not found in sysfs"),
    ("no-vfio", "vfio 0000:41:00.0: failed to setup container for group 12: No available IOMMU "
     "models"),
    ("gone", "Device 0000:41:00.0 not found: could not access "
     "/sys/bus/pci/devices/0000:41:00.0/config: No such file or directory"),
    ("gone", "PCI device 0000:41:00.0 not found"),
    ("gone", "vfio 0000:41:00.0: no such host device: No such file or directory"),
    ("no-acs", "internal error: Device 0000:41:00.0 is behind a switch lacking ACS and cannot be "
     "assigned"),
    ("no-acs", "Requested operation is not valid: PCI device 0000:41:00.0 is not assignable"),
    ("bar-taken", "vfio-pci 0000:41:00.0: BAR 1: can't reserve [mem 0xc0000000-0xcfffffff]"),
    ("bar-taken", "Failed to mmap 0000:41:00.0 BAR 1. Performance may be slow"),
    ("guest-memory", "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate "
     "memory"),
    ("guest-memory", "qemu-system-x86_64: unable to map backing store for guest RAM: Cannot "
     "allocate memory"),
    ("guest-memory", "os_mem_prealloc: Insufficient free host memory pages available to allocate "
     "guest RAM"),
    ("guest-memory", "qemu_prealloc_mem: preallocating memory failed: Bad address"),
    ("no-slots", "internal error: No more available PCI slots"),
    ("attach", "internal error: qemu unexpectedly closed the monitor: vfio 0000:41:00.0: failed"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sentence"), SENTENCES)
def test_a_sentence_is_a_cause(kind: str, sentence: str) -> None:
    """Each sentence of a host is the hypervisor's failure there, with what to do."""
    retried = ("Exceeded maximum number of retries. Exhausted all hosts available for retrying "
               f"build failures for instance 5d1f. Last exception: {sentence}")  # fmt: skip
    for text in (sentence, retried):
        assert kind_of(text) == kind
        evidence = cloud(refusal=Refusal(text, "--error"))
        rule, says = answer(evidence)
        assert rule in ("WC317", "WC318", "WC328")
        assert says.endswith(f"It means: {HYPERVISOR[kind_of(text) or 'attach'].why}.")
        assert not explain(evidence).undecided


@pytest.mark.parametrize(
    "text",
    ["No valid host was found. There are not enough hosts available.", "Quota exceeded for cores",
     "Project P is over a limit for [Resource servers is over limit of 1 due to current usage 1]",
     "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 5G, quota is 0G",
     "PCI alias a100 is not defined", "something else entirely"],
)  # fmt: skip
def test_a_sentence_of_nobodys_host(text: str) -> None:
    """Sentences of nova-api and of the scheduler are no host's."""
    assert cause_of(text) is None


def test_facts_explain_the_sentence() -> None:
    """`group 12 is not viable` beside facts that show why: the facts' cause, not the sentence's."""
    evidence = replace(
        on(with_audio("snd_hda_intel")),
        refusal=Refusal("vfio 0000:41:00.0: group 12 is not viable", "--error"),
    )
    assert answer(evidence)[0] == "WC340"
    assert "WC329" not in {one.rule for one in explain(evidence).findings}


def _said(text: str, *names: str) -> Explanation:
    """Several hosts, of which the first has cards at other addresses than the rest."""
    other = facts((card("0000:81:00.0"), card("0000:82:00.0")))
    several = [host(name, **({"facts": other} if n == 0 else {})) for n, name in enumerate(names)]
    return explain(cloud(hosts=tuple(several), refusal=Refusal(text, "--error")))


def test_whose_sentence_it_is() -> None:
    """The address in a sentence names the host; without one and with several, nobody's is known."""
    busy = "PCI device {} is in use by driver QEMU"
    by_name = {one.name: one for one in _said(busy.format("0000:81:00.0"), "a", "b").hosts}
    assert (by_name["a"].answer, by_name["b"].answer) == ("no", "yes")
    unclear = _said("cannot limit locked memory", "a", "b")
    assert [one.answer for one in unclear.hosts] == ["unknown", "unknown"]
    assert unclear.undecided


def test_a_file_that_says_the_opposite() -> None:
    """nova's words of a failed claim do not turn off a filter that the file has on."""
    text = SENTENCES[2][1]
    refused = Refusal(text, "--error")
    assert answer(cloud(refusal=refused))[0] == "WC318"
    assert answer(cloud(refusal=refused, scheduler=scheduler("ComputeFilter")))[0] == "WC327"
    assert answer(cloud(refusal=refused, scheduler=None))[0] == "WC327"


def test_nothing_is_ticked_that_nobody_looked_at() -> None:
    """Quotas and the hypervisor are not run, and say so."""
    explanation = explain(cloud())
    results = [*explanation.checks, *explanation.hosts[0].checks]
    states = {one.name: (one.state, bool(one.says)) for one in results}
    assert states["quota"] == states["hypervisor"] == ("not run", True)


def rtx(*slots: str, taken: tuple[str, ...] = (), flavor: str = "rtx:1,sound:1") -> Evidence:
    """A host of cards with a GPU and an audio function each, and a flavor that asks for both."""
    functions: list[Function] = []
    for slot in slots:
        functions += [
            hosts.function(f"{slot}.0", "10de:1e30", "030000", driver="vfio-pci"),
            hosts.function(f"{slot}.1", "10de:10f7", "040300", driver="vfio-pci"),
        ]
    specs = ('{"vendor_id": "10de", "product_id": "1e30"}',
             '{"vendor_id": "10de", "product_id": "10f7"}')  # fmt: skip
    aliases = ('{"name": "rtx", "vendor_id": "10de", "product_id": "1e30"}',
               '{"name": "sound", "vendor_id": "10de", "product_id": "10f7"}')  # fmt: skip
    full = on(facts(functions), conf=compute(specs, aliases), taken=dict.fromkeys(taken, "5d1f"))
    return replace(full, api=api(aliases), request=request(flavor))


FOUR = ("0000:41:00", "0000:42:00", "0000:43:00", "0000:44:00")


@pytest.mark.parametrize(
    ("evidence", "rule", "words"),
    [
        pytest.param(rtx(*FOUR), "WC341", "in 16 ways, and only 4 of them", id="four cards"),
        pytest.param(rtx(*FOUR[:1]), "", "", id="one card"),
        pytest.param(rtx(*FOUR, flavor="rtx:1"), "", "", id="the GPU alone"),
        pytest.param(rtx(*FOUR, flavor="rtx:2"), "", "", id="two GPUs"),
        pytest.param(rtx(*FOUR[:2], flavor="rtx:2,sound:2"), "", "", id="all of them"),
        pytest.param(rtx(*FOUR[:2], flavor="rtx:2,sound:1"), "WC341", "No choice",
                     id="one audio function for two GPUs"),
        pytest.param(rtx(*FOUR[:2], taken=("0000:41:00.0", "0000:42:00.1")), "WC341",
                     "No choice of functions that are free", id="halves are left"),
    ],
)  # fmt: skip
def test_whole_cards_are_counted(evidence: Evidence, rule: str, words: str) -> None:
    """Of the ways to choose functions those that are whole cards are counted."""
    found = answer(evidence)
    assert found[0] == rule
    assert words in found[1]


def test_a_card_in_parts_is_a_warning() -> None:
    """The host takes the server, and the answer says what may be wrong with it."""
    explanation = explain(rtx(*FOUR))
    assert explanation.answer == (
        "gpu-01 can run this server. nova may choose parts of several cards (WC341)."
    )
    assert [(one.rule, one.severity.value) for one in explanation.findings] == [
        ("WC341", "warning")
    ]
