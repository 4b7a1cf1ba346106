"""What is known of drivers for guests: one table, each row with its source and the day it was read.

As of 29 November 2026. A row that turns out to be wrong is corrected here and nowhere else; code
asks the functions of `generation.py`, `requirement.py` and `package_sets.py` beside this file.
docs/reference/drivers.md is written from it.
"""

from __future__ import annotations

from datetime import date

from wholecard.guest.drivers.records import (
    Branch,
    BrokenPair,
    Flavour,
    Generation,
    PackageSet,
    Repository,
    Source,
    System,
)

AS_OF = date(2026, 11, 29)
NVIDIA, AMD, INTEL = "10de", "1002", "8086"

_GUIDE = Source(
    "NVIDIA driver installation guide 620, Kernel Modules (docs.nvidia.com/datacenter/tesla/driver-"
    "installation-guide/620/kernel-modules.html); 610's for what 620 removed", AS_OF)  # fmt: skip
_IDS = "; chips and ids: pci.ids 2026.10.24"
_GENERATION = Source(f"{_GUIDE.text}{_IDS}", AS_OF)
_BLACKWELL = Source(
    "NVIDIA, Open Linux kernel modules (Grace Hopper and Blackwell need them); release notes of "
    f"570, 575, 580{_IDS}", AS_OF)  # fmt: skip
_BOTH: tuple[Flavour, ...] = ("open", "proprietary")
_OPEN: tuple[Flavour, ...] = ("open",)
_OWN: tuple[Flavour, ...] = ("proprietary",)

# Where a chip's name decides, the longer beginning counts: GB110 (B300) before GB1 (B200).
GENERATIONS = (
    Generation("Kepler", NVIDIA, ("GK",), ((0x0FC0, 0x0FFF), (0x1001, 0x103F), (0x1180, 0x11FF),
               (0x1280, 0x12BF)), _OWN, None, 470, _GENERATION),
    Generation("Maxwell", NVIDIA, ("GM",), ((0x1340, 0x14FF), (0x1613, 0x1667), (0x174D, 0x179C),
               (0x17C2, 0x17FD)), _OWN, None, 580, _GENERATION),
    Generation("Pascal", NVIDIA, ("GP",), ((0x15C2, 0x15FF), (0x1725, 0x172F), (0x1B00, 0x1D7F)),
               _OWN, None, 580, _GENERATION),
    Generation("Volta", NVIDIA, ("GV",), ((0x1D81, 0x1DFF),), _OWN, None, 580, _GENERATION),
    Generation("Turing", NVIDIA, ("TU",), ((0x1E02, 0x1FFF), (0x2182, 0x21FF)), _BOTH, None, None,
               _GENERATION),
    Generation("Ampere", NVIDIA, ("GA",), ((0x2080, 0x20FF), (0x2200, 0x2294), (0x2414, 0x25FF)),
               _BOTH, None, None, _GENERATION),
    Generation("Hopper", NVIDIA, ("GH",), ((0x2302, 0x23FF),), _BOTH, 525, None, _GENERATION),
    Generation("Grace Hopper", NVIDIA, (), ((0x2342, 0x2342), (0x2348, 0x2348)), _OPEN, 525, None,
               _BLACKWELL),
    Generation("Ada", NVIDIA, ("AD",), ((0x2681, 0x28FF),), _BOTH, 525, None, _GENERATION),
    Generation("Blackwell", NVIDIA, ("GB1",), ((0x2900, 0x297F),), _OPEN, 570, None, _BLACKWELL),
    Generation("Blackwell RTX", NVIDIA, ("GB2",), ((0x2B80, 0x2F7F),), _OPEN, 575, None,
               _BLACKWELL),
    Generation("Blackwell Ultra", NVIDIA, ("GB110",), ((0x3180, 0x31FF),), _OPEN, 580, None,
               _BLACKWELL),
)  # fmt: skip

_LIFE = Source("docs.nvidia.com/datacenter/tesla/drivers/620/supported-drivers-and-cuda-toolkit-"
               "versions.html (600 series and 580); 615's for 535 and 610", AS_OF)  # fmt: skip
_GONE = Source("not in NVIDIA's list of supported branches; Debian has it", AS_OF)
# Only long-term and production branches are recommended. NVIDIA's pages name August 2028 as well as
# June for 580: the earlier one is here.
BRANCHES = (
    Branch(535, "long-term", date(2026, 6, 30), _BOTH, 12, _LIFE),
    Branch(550, "production", None, _BOTH, 12, _GONE),
    Branch(570, "production", date(2026, 2, 28), _BOTH, 12, _LIFE),
    Branch(580, "long-term", date(2028, 6, 30), _BOTH, 13, _LIFE),
    Branch(595, "production", date(2027, 3, 31), _BOTH, 13, _LIFE),
    Branch(610, "new feature", date(2026, 8, 31), _BOTH, 13, _LIFE),
    Branch(620, "long-term", date(2029, 9, 30), _OPEN, 13, _LIFE),
)

_DEBIAN_INDEX = Source("the Packages files of deb.debian.org", AS_OF)
_UBUNTU = Source("packages.ubuntu.com, and the restricted modules of noble and resolute", AS_OF)
SYSTEMS = (
    System("debian-12", "linux-image-amd64", ("linux-headers-amd64",), "6.1.192",
           ("-cloud-amd64",), _DEBIAN_INDEX),
    System("debian-13", "linux-image-amd64", ("linux-headers-amd64",), "6.12.118",
           ("-cloud-amd64",), _DEBIAN_INDEX),
    System("ubuntu-22.04", "linux-image-generic", ("linux-headers-generic",), None, (), _UBUNTU),
    System("ubuntu-24.04", "linux-image-generic", ("linux-headers-generic",), None, (), _UBUNTU),
    System("ubuntu-26.04", "linux-image-generic", ("linux-headers-generic",), None, (), _UBUNTU),
    System("el-8", "kernel", ("kernel-devel", "kernel-headers"), None, (), _GUIDE),
    System("el-9", "kernel", ("kernel-devel-matched", "kernel-headers"), None, (), _GUIDE),
    System("el-10", "kernel", ("kernel-devel-matched", "kernel-headers"), None, (), _GUIDE),
)  # fmt: skip

_CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
_CUDA_KEY = "EB693B3035CD5710E231E123A4B469963BF863CC"
_RPM_KEY = "610C7B14E068A878070DA4E99CD0A493D42D0685"
_TOOLKIT_KEY = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
_KEYS = Source("the repositories' own folders, as public installers name them", AS_OF)
# apt of Debian 13 refuses the old key's SHA-1 signatures: that repository has a key of its own.
REPOSITORIES = (
    Repository("debian-12-nonfree", "http://deb.debian.org/debian", ("bookworm",),
               ("contrib", "non-free", "non-free-firmware"), "", "", _DEBIAN_INDEX),
    Repository("debian-13-nonfree", "http://deb.debian.org/debian", ("trixie",),
               ("contrib", "non-free", "non-free-firmware"), "", "", _DEBIAN_INDEX),
    Repository("cuda-debian12", f"{_CUDA}/debian12/x86_64", ("/",), (),
               f"{_CUDA}/debian12/x86_64/3bf863cc.pub", _CUDA_KEY, _KEYS),
    Repository("cuda-debian13", f"{_CUDA}/debian13/x86_64", ("/",), (),
               f"{_CUDA}/debian13/x86_64/8793F200.pub",
               "02182E60104FCDC26EAE1B8597A5D4CB8793F200", _KEYS),
    Repository("cuda-rhel8", f"{_CUDA}/rhel8/x86_64", (), (),
               f"{_CUDA}/rhel8/x86_64/D42D0685.pub", _RPM_KEY, _KEYS),
    Repository("cuda-rhel9", f"{_CUDA}/rhel9/x86_64", (), (),
               f"{_CUDA}/rhel9/x86_64/D42D0685.pub", _RPM_KEY, _KEYS),
    Repository("cuda-rhel10", f"{_CUDA}/rhel10/x86_64", (), (),
               f"{_CUDA}/rhel10/x86_64/CDF6BA43.pub", "", _KEYS),
    Repository("nvidia-container-toolkit", "https://nvidia.github.io/libnvidia-container/stable/"
               "deb/amd64", ("/",), (), "https://nvidia.github.io/libnvidia-container/gpgkey",
               _TOOLKIT_KEY,
               Source("NVIDIA Container Toolkit, Installing: apt", AS_OF)),
    Repository("nvidia-container-toolkit-rpm", "https://nvidia.github.io/libnvidia-container/"
               "stable/rpm/x86_64", (), (), "https://nvidia.github.io/libnvidia-container/gpgkey",
               _TOOLKIT_KEY, Source("NVIDIA Container Toolkit, Installing: dnf", AS_OF)),
)  # fmt: skip

_COMPUTE = Source(
    "NVIDIA driver installation guide, Compute-only and Desktop Installation, and Version locking",
    AS_OF)  # fmt: skip
_EL = "NVIDIA's repository for this family: the compute-only packages, without X and Wayland."
# In the order in which they are tried for a system.
PACKAGE_SETS = (
    PackageSet(
        "ubuntu", NVIDIA, ("ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"), "signed",
        ("linux-modules-nvidia-{branch}-server{open}-generic",
         "nvidia-headless-no-dkms-{branch}-server{open}", "nvidia-utils-{branch}-server"),
        "Ubuntu's own packages: the modules are built and signed for its generic kernel, so nothing"
        " is compiled in the image and Secure Boot accepts them.",
        Source("packages.ubuntu.com: linux-modules-nvidia-580-server-open-generic and the sources "
               "nvidia-graphics-drivers-580-server, -595-server", AS_OF),
        _BOTH, (580, 595)),
    PackageSet(
        "nvidia-debian-12", NVIDIA, ("debian-12",), "dkms", ("nvidia-driver-cuda",),
        "NVIDIA's repository for Debian: compute-only, a branch with support.", _COMPUTE,
        _BOTH, (580, 595, 620), ("cuda-debian12",), ("nvidia-kernel-open-dkms",),
        ("nvidia-kernel-dkms",), pin="nvidia-driver-pinning-{branch}"),
    PackageSet(
        "nvidia-debian-13", NVIDIA, ("debian-13",), "dkms", ("nvidia-driver-cuda",),
        "NVIDIA's repository for Debian: compute-only, a branch with support.", _COMPUTE,
        _BOTH, (580, 595, 620), ("cuda-debian13",), ("nvidia-kernel-open-dkms",),
        ("nvidia-kernel-dkms",), pin="nvidia-driver-pinning-{branch}"),
    PackageSet(
        "nvidia-el-8", NVIDIA, ("el-8",), "dkms", ("nvidia-driver-cuda",), _EL, _COMPUTE, _BOTH,
        (580, 595, 620), ("cuda-rhel8",), ("kmod-nvidia-open-dkms",), ("kmod-nvidia-latest-dkms",),
        before=(("dnf", "-y", "module", "enable", "nvidia-driver:{branch}{stream}"),)),
    PackageSet(
        "nvidia-el-9", NVIDIA, ("el-9",), "dkms", ("nvidia-driver-cuda",), _EL, _COMPUTE, _BOTH,
        (580, 595, 620), ("cuda-rhel9",), ("kmod-nvidia-open-dkms",), ("kmod-nvidia-latest-dkms",),
        before=(("dnf", "-y", "module", "enable", "nvidia-driver:{branch}{stream}"),)),
    PackageSet(
        "nvidia-el-10", NVIDIA, ("el-10",), "dkms", ("nvidia-driver-cuda",), _EL, _COMPUTE, _BOTH,
        (580, 595, 620), ("cuda-rhel10",), ("kmod-nvidia-open-dkms",),
        ("kmod-nvidia-latest-dkms",),
        before=(("dnf", "-y", "install", "python3-dnf-plugin-versionlock"),
                ("dnf", "versionlock", "add", "*nvidia*{branch}*"))),
    PackageSet(
        "debian", NVIDIA, ("debian-12",), "dkms",
        ("nvidia-smi", "libcuda1", "libnvidia-ptxjitcompiler1"),
        "Debian's own packages.", _DEBIAN_INDEX, _BOTH, (535,), ("debian-12-nonfree",),
        ("nvidia-open-kernel-dkms", "firmware-nvidia-gsp"), ("nvidia-kernel-dkms",),
        version="535.261.03"),
    PackageSet(
        "debian", NVIDIA, ("debian-13",), "dkms",
        ("nvidia-smi", "libcuda1", "libnvidia-ptxjitcompiler1"),
        "Debian's own packages.", _DEBIAN_INDEX, _BOTH, (550,), ("debian-13-nonfree",),
        ("nvidia-open-kernel-dkms", "firmware-nvidia-gsp"), ("nvidia-kernel-dkms",),
        version="550.163.01"),
    PackageSet(
        "in-box", AMD, ("debian-12", "debian-13"), "in-box",
        ("linux-image-amd64", "firmware-amd-graphics"),
        "The kernel's own amdgpu and its firmware; ROCm's run time is a matter of its own.",
        _DEBIAN_INDEX, repositories=("debian-{version}-nonfree",)),
    PackageSet(
        "in-box", AMD, ("ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"), "in-box",
        ("linux-image-generic", "linux-firmware"),
        "The kernel's own amdgpu, which linux-image-virtual does not have, and its firmware.",
        _UBUNTU),
    PackageSet(
        "in-box", AMD, ("el-8", "el-9", "el-10"), "in-box", ("kernel", "linux-firmware"),
        "The kernel's own amdgpu and its firmware.", Source("not tried", AS_OF)),
    PackageSet(
        "in-box", INTEL, ("debian-13",), "in-box",
        ("linux-image-amd64", "firmware-intel-graphics"),
        "The kernel's own i915 and xe. Debian 13 has no OpenCL for them (intel-opencl-icd).",
        _DEBIAN_INDEX, repositories=("debian-13-nonfree",)),
    PackageSet(
        "in-box", INTEL, ("debian-12",), "in-box",
        ("linux-image-amd64", "firmware-misc-nonfree", "intel-opencl-icd"),
        "The kernel's own i915, its firmware and OpenCL.",
        _DEBIAN_INDEX, repositories=("debian-12-nonfree",)),
    PackageSet(
        "in-box", INTEL, ("ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"), "in-box",
        ("linux-image-generic", "linux-firmware", "intel-opencl-icd"),
        "The kernel's own i915 and xe, which linux-image-virtual does not have, and OpenCL.",
        _UBUNTU),
    PackageSet(
        "in-box", INTEL, ("el-8", "el-9", "el-10"), "in-box", ("kernel", "linux-firmware"),
        "The kernel's own i915 or xe and its firmware.", Source("not tried", AS_OF)),
)  # fmt: skip

_RESIZE_PATCH = """\
--- a/nvidia/nv-pci.c
+++ b/nvidia/nv-pci.c
@@ -237 +237 @@
-    r = pci_resize_resource(pci_dev, NV_GPU_BAR1, requested_size);
+    r = pci_resize_resource(pci_dev, NV_GPU_BAR1, requested_size, 0);
"""
BROKEN_PAIRS = (
    BrokenPair(
        "pci_resize_resource",
        (("535", "535.274.03"), ("550", "551"), ("570", "570.172.09"), ("580", "580.126.09")),
        ("6.12.97", "6.18.40"), "6.19",
        "too few arguments to function 'pci_resize_resource'",
        "The kernel's pci_resize_resource() has taken a fourth argument since then, which the "
        "driver does not pass.",
        "580.126.09",
        Source("NVIDIA/open-gpu-kernel-modules#1272 (6.12.96 builds, 6.12.100 does not), truenas/"
               "scale-build#1002 (6.12.97: commit 0d63176d355e; the fix is in 580.126.09), flatcar/"
               "scripts#4205 and #4207 (535, 570), strongtz/i915-sriov-dkms#467 (6.18.40); seen "
               "with 550.163.01 on 6.12.107 to 6.12.118", AS_OF),
        _RESIZE_PATCH, "550.163.01"),
)  # fmt: skip
