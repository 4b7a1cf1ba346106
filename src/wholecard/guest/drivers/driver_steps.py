"""The steps that put a chosen driver into an image, in their order, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.core import UsageError
from wholecard.guest.drivers.known_drivers import BROKEN_PAIRS, NVIDIA, REPOSITORIES
from wholecard.guest.drivers.records import Branch, Flavour, PackageSet, Repository, System
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    RunInGuest,
    Step,
    WriteGuestFile,
)

NOUVEAU_FILE = "/etc/modprobe.d/wholecard-nouveau.conf"
_NOUVEAU = b"blacklist nouveau\nblacklist nova_core\noptions nouveau modeset=0\n"
# Debian's name of the open module in /usr/src and /var/lib/dkms.
_DEBIAN_OPEN = "nvidia-current-open"
# The key is used only where it has the fingerprint of the table.
_FETCH = (
    'curl -fsSL "$1" -o "$2.new"; home=$(mktemp -d); '
    'gpg --homedir "$home" --show-keys --with-colons "$2.new" | grep -q "^fpr:*$3:"; '
    'rm -rf "$home"; mv "$2.new" "$2"'
)
_IMPORT = f'{_FETCH}; rpm --import "$2"'


def steps_for(
    system: System,
    os: GuestOs,
    packages: PackageSet,
    branch: Branch | None,
    flavour: Flavour | None,
    keys: Mapping[str, str],
    patch: str = "",
) -> Iterator[Step]:
    """The steps for one vendor's driver. Raises UsageError where a repository's key is needed."""
    if packages.vendor == NVIDIA:
        yield WriteGuestFile(
            NOUVEAU_FILE, _NOUVEAU, "nouveau would take the card before NVIDIA's driver does"
        )
    for name in packages.repositories:
        yield from repository_steps(name.format(version=os.version.partition(".")[0]), keys)
    words = _words(branch, flavour)
    yield from _branch_steps(packages, words)
    if system.cloud_kernels:
        yield from _full_kernel(system)
    if packages.build == "dkms":
        yield from _dkms_steps(system)
    if patch:
        yield from patch_steps(patch)
    driver = packages.open_packages if flavour == "open" else packages.proprietary_packages
    names = tuple(name.format(**words) for name in (*packages.packages, *driver))
    yield InstallPackages(names, packages.reason)
    if packages.build == "dkms":
        yield HoldPackages(
            names, "an upgrade under a running guest leaves the module of the old version loaded, "
            "and programs of the new one fail",
        )  # fmt: skip
    if packages.vendor == NVIDIA:
        tool = "dracut --force --regenerate-all" if _is_el(system) else "update-initramfs -u -k all"
        yield RunInGuest(tuple(tool.split()), "the initramfs must not have nouveau either")


def _is_el(system: System) -> bool:
    return system.key.startswith("el-")


def _branch_steps(packages: PackageSet, words: Mapping[str, str]) -> Iterator[Step]:
    """What keeps the package tool on the branch."""
    for template in packages.before:
        argv = tuple(word.format(**words) for word in template)
        yield RunInGuest(argv, f"stay on the branch {words['branch']}")
    if packages.pin:
        pin = packages.pin.format(**words)
        yield InstallPackages((pin,), f"apt stays on the branch {words['branch']}")


def _dkms_steps(system: System) -> Iterator[Step]:
    """What DKMS needs before a module's package comes."""
    if _is_el(system):
        yield InstallPackages(("epel-release",), "dkms is in EPEL")
    yield InstallPackages(
        (system.kernel, *system.headers),
        "DKMS builds for the kernels whose headers are here: those of the kernel that boots",
    )


def repository_steps(name: str, keys: Mapping[str, str]) -> Iterator[Step]:
    """The repository of that name in the table, with its key.

    A key that is not in `keys` is fetched in the guest from the repository's own address and
    checked against the fingerprint of the table. Raises UsageError where that is not known.
    """
    row = next(row for row in REPOSITORIES if row.name == name)
    reason = f"where the packages come from: {row.uri}"
    key = keys.get(name)
    if row.key_url and key is None:
        yield from _fetched_key(row)
    yield AddRepository(row.name, row.uri, reason, row.suites, row.components, key)


def patch_steps(name: str) -> Iterator[Step]:
    """The table's patch beside the module's source, and the file that tells DKMS of it.

    Written before the package comes, whose installation builds. dkms(8): patches are in `patches/`
    of the source, and /etc/dkms/MODULE.conf is read after the module's own dkms.conf.
    """
    pair = next(pair for pair in BROKEN_PAIRS if pair.name == name)
    file = f"{pair.name}.patch"
    source = f"/usr/src/{_DEBIAN_OPEN}-{pair.patch_for}"
    yield WriteGuestFile(f"{source}/patches/{file}", pair.patch.encode(), pair.cause)
    yield WriteGuestFile(
        f"/etc/dkms/{_DEBIAN_OPEN}.conf",
        f'PATCH[${{#PATCH[@]}}]="{file}"\n'.encode(),
        f"DKMS applies {file} before it builds",
    )


def _fetched_key(row: Repository) -> Iterator[Step]:
    if not row.fingerprint:
        raise UsageError(
            f"the key of the repository {row.name} must be given",
            "Its fingerprint is not in the table, so a key from the network cannot be checked.",
            f"Download {row.key_url}, check it, and name it: build.driver.key in the site file, or "
            f"--key {row.name}=FILE for image drivers.",
        )
    reason = f"the key that signs {row.name}, checked against {row.fingerprint}"
    if row.suites:
        yield InstallPackages(("ca-certificates", "curl", "gpg"), "to fetch and check a key")
        file = f"/etc/apt/trusted.gpg.d/{row.name}.asc"
        yield RunInGuest(("sh", "-ec", _FETCH, "sh", row.key_url, file, row.fingerprint), reason)
    else:
        yield InstallPackages(("curl", "gnupg2"), "to fetch and check a key")
        file = f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{row.name}"
        yield RunInGuest(("sh", "-ec", _IMPORT, "sh", row.key_url, file, row.fingerprint), reason)


def _full_kernel(system: System) -> Iterator[Step]:
    """The kernel with drivers for cards, and none that would be booted instead of it.

    GRUB boots the newest by name, and of one version that is `-cloud-amd64`.
    """
    yield InstallPackages((system.kernel,), "the cloud kernel has no DRM, sound and I2C")
    answer = "linux-base linux-base/removing-running-kernel boolean false"
    yield RunInGuest(
        ("sh", "-ec", 'echo "$1" | debconf-set-selections', "sh", answer),
        "apt removes the running kernel only if this is set; at a first boot it runs",
    )
    yield RunInGuest(
        ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "purge", "--yes",
         "?installed?name(^linux-image-.*cloud-amd64$)"),
        "GRUB would boot the cloud kernel, whose name sorts last",
    )  # fmt: skip


def _words(branch: Branch | None, flavour: Flavour | None) -> dict[str, str]:
    """What the names of packages have in braces."""
    return {
        "branch": str(branch.number) if branch else "",
        "open": "-open" if flavour == "open" else "",
        "stream": "-open" if flavour == "open" else "-dkms",
    }
