"""`images.NAME.build`: what an image is built from, as models.

The text below a field is its description in the published schema and in the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from wholecard.guest.image import download, package_tools
from wholecard.site.model_types import Line, Model, Text

OS_PATTERN = r"^[a-z][a-z0-9._]{0,31}-[0-9][0-9a-z.]{0,31}$"
# Not `..`, which build_checks refuses: a pattern of pydantic has no look-around.
GUEST_PATH_PATTERN = r"^/[^\x00-\x1f\x7f]{1,1023}$"
MODE_PATTERN = r"^0?[0-7]{3}$"
BRANCH_PATTERN = r"^[0-9][0-9a-z.-]{0,31}$"
WORD_PATTERN = r"^[^\x00]+$"
# No user and no password: addresses are printed, recorded and uploaded.
ADDRESS_PATTERN = r"^(https?://[^@\s\x00-\x1f\x7f]+|file:/[^\s\x00-\x1f\x7f]+)$"
# A reason is a line of a plan.
REASON = "the site file asks for it"

OsName = Annotated[str, StringConstraints(pattern=OS_PATTERN)]
GuestPath = Annotated[str, StringConstraints(pattern=GUEST_PATH_PATTERN)]
Mode = Annotated[str, StringConstraints(pattern=MODE_PATTERN)]
Branch = Annotated[str, StringConstraints(pattern=BRANCH_PATTERN)]
Word = Annotated[str, StringConstraints(pattern=WORD_PATTERN)]
Address = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=download.SHA256)]
PackageName = Annotated[str, StringConstraints(pattern=package_tools.PACKAGE_NAME)]
RepositoryName = Annotated[str, StringConstraints(pattern=package_tools.REPOSITORY_NAME)]
ProfileName = Literal["nvidia", "amd", "intel", "containers", "agent"]

# What each pattern expects, in words, and what corrects the usual mistakes.
PATTERNS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    OS_PATTERN: (
        "expected ID-VERSION_ID of its /etc/os-release, as in ubuntu-24.04",
        lambda text: text.strip().lower().replace(" ", "-")),
    GUEST_PATH_PATTERN: ("expected an absolute path", lambda text: f"/{text.strip()}"),
    MODE_PATTERN: ("expected three octal digits, as in 0644", lambda text: text[-4:]),
    BRANCH_PATTERN: ("expected a vendor's branch, as in 580", lambda text: text.lower().strip()),
    WORD_PATTERN: ("expected a word that is not empty", str.strip),
    ADDRESS_PATTERN: (
        "expected an http:, https: or file: address without user and password", str.strip),
    download.SHA256: (
        "expected the 64 hexadecimal digits of a SHA-256",
        lambda text: text.lower().removeprefix("sha256:").strip()),
    package_tools.PACKAGE_NAME: (
        "expected a package's name, or NAME=VERSION", lambda text: text.strip().replace(" ", "-")),
    package_tools.REPOSITORY_NAME: (
        "a repository's name has letters, digits, '.', '_' and '-'",
        lambda text: text.strip().replace(" ", "-")),
}  # fmt: skip
# A value of these is a text for every YAML reader.
ALWAYS_TEXT = (OS_PATTERN, GUEST_PATH_PATTERN, ADDRESS_PATTERN)


class ImageDriver(Model):
    """A card's driver in an image."""

    branch: Branch | None = None
    """The vendor's branch, as in `580`; without it the profile's own choice for the cards."""
    modules: Literal["auto", "open", "proprietary"] = "auto"
    """NVIDIA's kernel modules; `auto` takes the open ones if all cards of the site accept them."""
    cuda: Literal["none", "runtime", "toolkit"] = "none"
    """What is installed besides the driver: nothing, the run-time libraries, or the whole
    toolkit (about 5 GB)."""
    key: Line | None = None
    """The file with the ASCII-armored key of NVIDIA's repository for the system; its path is
    relative to the site file's folder. Without it the key is fetched during the build and its
    fingerprint is checked; for Rocky 10 and its relatives none is known, so the file is needed."""


class ImageRepository(Model):
    """A repository of packages, and the key that signs it."""

    uri: Address
    """Its address: what `URIs` of a deb822 file or `baseurl` of a `.repo` file has."""
    suites: tuple[Word, ...] = ()
    """For deb packages: the suites, as in `noble`; a path that ends in `/` has no components."""
    components: tuple[Word, ...] = ()
    """For deb packages: the components, as in `main`."""
    key: Line | None = None
    """The file with the ASCII-armored key; its path is relative to the site file's folder. Without
    it the image must trust the key already."""
    reason: Line = REASON
    """Why it is there; the plan and the record show it."""


class ImageFile(Model):
    """A whole file in the image, owned by root."""

    content: Text | None = None
    """Its content."""
    source: Line | None = None
    """A file with its content instead; the path is relative to the site file's folder."""
    mode: Mode = "0644"
    """Its permissions."""
    reason: Line = REASON
    """Why it is there; the plan and the record show it."""


class ImageBuild(Model):
    """What an image is built from: a base image and the steps that change it, in this order: files,
    repositories, profiles, packages, held packages, commands.
    """

    from_: Annotated[Line, Field(alias="from")]
    """The base image: a file (qcow2, or raw with a partition table) whose path is relative to the
    site file's folder, or an http: or https: address."""
    sha256: Sha256 | None = None
    """The SHA-256 of the base image; an address needs it."""
    mirrors: tuple[Address, ...] = ()
    """Further addresses of the same content, tried in their order; `file:` ones need no network."""
    os: OsName
    """The base image's system: `ID-VERSION_ID` of its /etc/os-release, as in `ubuntu-24.04`,
    `debian-13`, `rocky-9`."""
    size: Literal["auto"] | Annotated[int, Field(ge=1, le=16384)] = "auto"
    """The disk's size in GiB; `auto` adds to the base's size what the steps need and is not free
    there."""
    profiles: tuple[ProfileName, ...] = ()
    """Steps that Wholecard knows: the drivers of a vendor's cards (`nvidia`, `amd`, `intel`),
    what `containers` need, and the `agent` that reports the server's cards."""
    driver: ImageDriver = ImageDriver()
    """What the profiles of cards install."""
    repositories: dict[RepositoryName, ImageRepository] = {}
    """Repositories of packages, by name."""
    packages: tuple[PackageName, ...] = ()
    """Packages to install, without those that they only recommend; NAME=VERSION for one version."""
    hold: tuple[PackageName, ...] = ()
    """Packages that later upgrades leave as they are."""
    files: dict[GuestPath, ImageFile] = {}
    """Files, by their paths in the image."""
    run: tuple[Annotated[tuple[Word, ...], Field(min_length=1)], ...] = ()
    """Commands, each a list of its words, run as root in the image after everything else."""
