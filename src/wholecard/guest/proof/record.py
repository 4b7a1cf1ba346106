"""The proof: what a guest's report says of its machine and of each thing in it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GuestMachine:
    """The guest itself: nonce of the run (empty where it was given none), agent, kernel, system.

    `agent` is `linux` or `windows`, `os` the system's own name, `memory_mib` what it can use.
    """

    nonce: str
    agent: str
    kernel: str
    os: str | None = None
    cpus: int = 0
    numa_nodes: int = 0
    memory_mib: int = 0


@dataclass(frozen=True)
class ProofFunction:
    """A PCI function in the guest. Ids are hexadecimal digits without `0x`.

    `path` are the addresses from the root bus down to the function, `irqs` how many MSI vectors it
    has, `bars` the sizes of BAR 0 to 5 in bytes with 0 for an unused one. `numa` is -1 where the
    guest's firmware names no node. `link` and `max_link` are GT/s and width; in a guest they show
    the virtual port's link, not the slot's (NVIDIA, B300 VM guide, known limitations).
    """

    address: str
    path: tuple[str, ...]
    vendor: str
    device: str
    pci_class: str
    subsystem_vendor: str
    subsystem_device: str
    driver: str | None
    irqs: int
    bars: tuple[int, ...]
    numa: int = -1
    link: tuple[float, int] | None = None
    max_link: tuple[float, int] | None = None

    @property
    def id(self) -> str:
        """`vendor:device`, as `lspci -n` writes it."""
        return f"{self.vendor}:{self.device}"


@dataclass(frozen=True)
class ProofCodec:
    """A sound codec: behind which function it is, its vendor id (8 digits), name and driver."""

    function: str
    id: str
    name: str
    driver: str | None


@dataclass(frozen=True)
class ProofGpu:
    """A GPU that `source` counts: `nvidia-smi`, `nvidia`, `amd-smi`, `rocm-smi`, `drm`,
    `framebuffer`, `windows`.

    `version` is the driver's. What the source does not know is None. `fabric_state`,
    `fabric_status` and `fabric_health` are nvidia-smi's words for State, Status and Summary of
    Fabric; None for a GPU without a fabric and from a driver that does not say.
    """

    source: str
    address: str
    name: str | None
    memory_mib: int | None
    uuid: str | None
    version: str | None
    fabric_state: str | None = None
    fabric_status: str | None = None
    fabric_health: str | None = None

    def to_json(self) -> dict[str, str | int | None]:
        """A plain dictionary; what is known of no fabric is left out."""
        return {
            key: value
            for key, value in vars(self).items()
            if value is not None or not key.startswith("fabric_")
        }


@dataclass(frozen=True)
class ProofProblem:
    """A tool that failed in the guest: its name, its exit status, its first words."""

    source: str
    exit: int | None
    text: str


@dataclass(frozen=True)
class ProofBenchmark:
    """What wholecard-bench measured: GFLOP/s, and whether its own checks passed."""

    name: str
    backend: str | None
    bodies: int
    devices: int
    gflops: float | None
    passed: bool


@dataclass(frozen=True)
class ProofContainer:
    """One of the containers that ran side by side, and what it saw.

    `together` is how many of them ran at one time, None where it did not start; `gpus` is what
    nvidia-smi lists in it, `devices` its device nodes.
    """

    index: int
    engine: str
    exit: int | None
    together: int | None
    gpus: int
    devices: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Proof:
    """A guest's own report. `complete` when nothing of it is missing; `machine` None: no `begin`.

    `damaged` is the number of lines that were dropped, those of earlier starts included. It says
    nothing about the guest, so two proofs that differ only in it are equal.
    """

    machine: GuestMachine | None
    functions: tuple[ProofFunction, ...]
    codecs: tuple[ProofCodec, ...]
    complete: bool
    gpus: tuple[ProofGpu, ...] = ()
    problems: tuple[ProofProblem, ...] = ()
    benchmarks: tuple[ProofBenchmark, ...] = ()
    containers: tuple[ProofContainer, ...] = ()
    damaged: int = field(default=0, compare=False)

    @property
    def kernel(self) -> str:
        """The guest's kernel; empty as long as its first record is missing."""
        return self.machine.kernel if self.machine else ""

    @property
    def nonce(self) -> str:
        """The nonce that the guest was given; empty where it was given none, or is not known."""
        return self.machine.nonce if self.machine else ""

    @property
    def records(self) -> int:
        """How many records have arrived."""
        parts = (self.functions, self.codecs, self.gpus, self.problems, self.benchmarks,
                 self.containers)  # fmt: skip
        return sum(map(len, parts)) + (self.machine is not None) + self.complete
