"""A demo's record as a real run leaves it: what the report's tests are about."""

from __future__ import annotations

from wholecard.core import Finding, Severity
from wholecard.lab.base.steps import LabStep
from wholecard.lab.report.record import DemoRecord, MoveMoment, ProofRow, ServerRecord, Station

MIB = 1 << 20
LONG = "qemu-system-x86_64 " + " ".join(
    f"-device pcie-root-port,id=port{n},chassis={n}" for n in range(60)
)
LOG = "\n".join(f"[{n / 10:9.6f}] pci 0000:01:00.0: BAR {n % 6} <assigned>" for n in range(500))

SEEN = {
    "api": ("nova-api", """\
POST http://127.0.0.1:18774/v2.1/servers, flavor g1.card2 (gpu:2)
server 6b2f4d7c-0a51-4a7c-9f0e-2f9d6c1b8a11
then BUILD/scheduling 0.2 s, BUILD/spawning 3.9 s, ACTIVE 31.8 s"""),
    "amqp": ("AMQP (RabbitMQ)", """\
queue compute: 1 consumers
queue compute.gpu-01: 1 consumers
queue conductor: 2 consumers
queue conductor.lab-control: 2 consumers
queue scheduler: 1 consumers
queue scheduler.lab-control: 1 consumers"""),
    "scheduler": ("nova-scheduler, Placement", """\
allocated 1 VCPU of gpu-01
allocated 256 MEMORY_MB of gpu-01
allocated 1 CUSTOM_PCI_1002_5046 of gpu-01_0000:01:00.0
allocated 1 CUSTOM_PCI_1002_5046 of gpu-01_0000:02:00.0"""),
    "compute": ("nova-compute", """\
host gpu-01
Attempting claim on node gpu-01: memory 256 MB, disk 0 GB, vcpus 1 CPU
Claim successful on node gpu-01
Took 27.41 seconds to spawn the instance on the hypervisor.
Took 30.02 seconds to build instance."""),
    "kvm": ("KVM (libvirt, QEMU)", """\
domain instance-00000001 is running
type kvm, 2 <hostdev> elements"""),
    "vfio": ("VFIO", """\
QEMU holds /dev/vfio/10
QEMU holds /dev/vfio/11
QEMU holds /dev/vfio/vfio"""),
    "card": ("cards", """\
GPU 1002:5046: 0000:01:00.0 on the host is 0000:06:01.0 in the guest
GPU 1002:5046: 0000:02:00.0 on the host is 0000:06:02.0 in the guest"""),
}  # fmt: skip
STATIONS = [Station(key, name, tuple(text.split("\n"))) for key, (name, text) in SEEN.items()]


LINES = (
    "0000:06:01.0 counted by framebuffer: ATY Rage128",
    "0000:06:02.0 counted by framebuffer: ATY Rage128",
    "nbody: 0.025 GFLOP/s, 1,024 bodies, numba on 1 device, its check passed",
)


def row(number: int, *, seen: bool = True) -> ProofRow:
    """The display function of card `number`."""
    guest = f"0000:06:0{number}.0" if seen else ""
    host, driver = f"0000:0{number}:00.0", "none" if seen else ""
    return ProofRow("GPU", "1002:5046", host, guest, driver, "16 MiB, 256 B, 16 KiB")


def proved(findings: tuple[Finding, ...] = ()) -> ServerRecord:
    """The server that got two cards."""
    return ServerRecord(
        "two-cards", "g1.card2", "gpu:2", "ACTIVE", "gpu-01", "", 31.8, 68.2, False,
        (row(1), row(2, seen=not findings)), findings, LINES,
    )  # fmt: skip


def refused(status: str = "ERROR") -> ServerRecord:
    """The server for which no card is left."""
    return ServerRecord(
        "one-too-many", "g1.card2", "gpu:2", status, "",
        "No valid host was found. There are not enough hosts available.", 2.7, None, True, (),
        (TAKEN,),
    )  # fmt: skip


TAKEN = Finding(
    "WC318", "gpu-01", Severity.ERROR,
    "2 of the 2 cards that gpu means are held by servers, 2 are asked for",
    "Delete a server that has some, or wait until one is deleted.",
)  # fmt: skip
MISSING = Finding(
    "WC401", "card 2", Severity.ERROR,
    "the server has card 2 (1002:5046) and its guest does not see it",
    "Compare the server's <hostdev> elements with its flavor, and check its IOMMU group.",
)  # fmt: skip


_QUIET = "No findings: all is well.\n2 hosts, 4 devices, read: sysfs, libvirt, nova, placement"
MOVES = [
    MoveMoment("before the move", _QUIET, ("gpu-01: 2 allocated",)),
    MoveMoment("in VERIFY_RESIZE, before confirm", _QUIET,
               ("gpu-01: 2 allocated", "gpu-02: 2 allocated")),
    MoveMoment("after confirm", _QUIET, ("gpu-02: 2 allocated",)),
]  # fmt: skip


def steps() -> list[LabStep]:
    """Steps of which the node's and the cloud's run side by side."""
    rows = [
        ("private Debian root (QEMU, RabbitMQ, MariaDB, kernel)", 0.0, 0.1, ""),
        ("OpenStack's locked environment (nova 34 and other services)", 0.1, 0.1, ""),
        ("OpenStack's databases", 0.2, 0.1, ""),
        ("node: power on, boot, ssh", 0.6, 29.5, "tcg, cards: apart"),
        ("cloud: databases, RabbitMQ", 0.6, 7.2, ""),
        ("cloud: keystone, placement, glance, neutron, nova", 7.8, 31.4, ""),
        ("node: inspect and check", 30.1, 6.0, "3 cards, 5 findings"),
        ("node: host plan", 36.1, 2.1, ""),
        ("node: host apply (initramfs, GRUB)", 38.2, 48.3, ""),
        ("cloud: users and endpoints in Keystone", 39.2, 2.2, ""),
        ("cloud: flavors, image in Glance", 41.4, 1.8, ""),
        ("node: reboot through its own GRUB and initramfs", 86.9, 38.0, ""),
        ("node: host verify", 124.9, 4.4, "4 functions on vfio-pci since boot"),
        ("cloud: nova-compute reports the cards to Placement", 129.3, 31.7, ""),
        ("server two-cards: boot, proof", 161.0, 68.2, "2 functions"),
        ("server one-too-many: refused", 229.2, 2.7, "No valid host"),
        ("the servers are deleted, the cards are free again", 231.9, 7.7, ""),
    ]
    taken = [LabStep(title, started, seconds, note=note) for title, started, seconds, note in rows]
    taken[3].saw("QEMU's command line", LONG)
    taken[6].saw(
        "wholecard check --all-cards", "WC101 error IOMMU: <b>off</b> & \x1b[31mred\x1b[0m"
    )
    taken[11].saw("the node's kernel log", LOG)
    taken[14].saw("console", "WHOLECARD-PROOF " + '{"record":"function"} ' * 40)
    return taken


def demo() -> DemoRecord:
    """A demo that went well."""
    return DemoRecord(
        started="2026-10-14 09:12:44 UTC", machine="2 CPUs (AMD EPYC), 24 GiB, Debian 12",
        topology="apart", accelerator="tcg", accelerator_why="this machine has no /dev/kvm",
        rootless=False, warm=True,
        versions={"nova": "34.0.0", "keystone": "30.0.0", "glance": "33.0.0", "neutron": "29.0.0",
                  "placement": "16.0.0", "RabbitMQ": "4.0.5", "MariaDB": "11.8.3",
                  "QEMU": "10.0.13", "libvirt": "11.3.0", "Linux (node)": "6.12.107+deb13-amd64"},
        stations=list(STATIONS), servers=[proved(), refused()], moves=list(MOVES),
        steps=steps(),
        seconds_to_proof=229.2, seconds=239.6,
        memory_bytes={"gpu-01": 1536 * MIB, "nova-api": 152 * MIB, "nova-scheduler": 121 * MIB,
                      "nova-conductor": 118 * MIB, "keystone": 110 * MIB, "glance": 131 * MIB,
                      "placement": 88 * MIB, "neutron": 163 * MIB, "rabbitmq": 117 * MIB,
                      "mariadb": 176 * MIB},
    )  # fmt: skip


def failed_demo() -> DemoRecord:
    """A demo whose guest missed a function and whose last step failed."""
    record = demo()
    record.servers = [proved((MISSING,)), refused("ACTIVE")]
    record.steps[14].failed = True
    record.steps[15].seconds = None
    return record


def short_demo() -> DemoRecord:
    """A demo that ended at the node's boot."""
    record = demo()
    record.stations, record.servers, record.moves = [], [], []
    record.memory_bytes, record.versions = {}, {}
    record.steps = record.steps[:4]
    record.steps[3].failed = True
    record.seconds, record.seconds_to_proof = 30.1, 0.0
    return record
