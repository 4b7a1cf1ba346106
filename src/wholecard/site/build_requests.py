"""A site's images as requests to build them: profiles become steps, files become contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from wholecard.core import Finding, UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.units import GIB
from wholecard.guest.image.build_request import Base, BuildRequest
from wholecard.guest.image.image_tree import Look
from wholecard.guest.image.profile import DriverSettings, Profile, ProfileSettings
from wholecard.guest.image.profiles import PROFILES, profile_named
from wholecard.guest.image.recipe import (
    AddRepository,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.guest.image.sizes import room_of
from wholecard.site.build_checks import guest_os, is_address
from wholecard.site.build_files import read_content, read_key
from wholecard.site.image_build import REASON, ImageBuild, ImageDriver
from wholecard.site.model import Site, SiteImage


def build_request(
    site: Site,
    name: str,
    folder: Path,
    output: Path | None = None,
    profiles: tuple[Profile, ...] = PROFILES,
) -> BuildRequest:
    """What is to be built for the image `name`; paths of the site file are relative to `folder`.

    Raises UsageError where the site has no such image, a profile cannot serve it, or a file that
    the site names cannot be read.
    """
    image, build = _image(site, name)
    os = guest_os(build)
    settings = ProfileSettings(
        _driver_settings(build.driver, folder),
        cards_of(site),
        image.properties.get("os_secure_boot", image.secure_boot) == "required",
    )
    findings: list[Finding] = []
    looks: list[Look] = []
    steps: list[Step] = [*_files(build, folder), *_repositories(build, folder)]
    for profile_name in dict.fromkeys(build.profiles):
        profile = profile_named(profile_name, profiles)
        steps += profile.steps(os, settings)
        findings += profile.findings(os, settings)
        if profile.look is not None:
            looks.append(partial(profile.look, os, settings))
    steps += _packages(build)
    return BuildRequest(
        name=name,
        base=_base(build, folder),
        size=None if build.size == "auto" else build.size * GIB,
        recipe=Recipe(os, tuple(steps), room_of(steps).needed),
        room=room_of(steps),
        output=output or (folder / built_name(name, image)).absolute(),
        findings=tuple(findings),
        looks=tuple(looks),
    )


def built_name(name: str, image: SiteImage) -> str:
    """The file that a built image is written to and uploaded from, as a site file names it."""
    return image.file or f"{name.replace('/', '-')}.qcow2"


def cards_of(site: Site) -> tuple[str, ...]:
    """The ids `vendor:product` of all kinds of cards that name both, sorted."""
    matches = [match for kind in site.cards.values() for match in kind.match]
    ids = {f"{match.vendor}:{match.product}" for match in matches if match.vendor and match.product}
    return tuple(sorted(ids))


def _image(site: Site, name: str) -> tuple[SiteImage, ImageBuild]:
    image = site.images.get(name)
    if image is None:
        hint = did_you_mean(name, site.images) or "Name one of `images` in the site file."
        raise UsageError(f"the site file has no image {name[:80]!r}", resolution=hint)
    if image.build is None:
        raise UsageError(
            f"the site file does not say how the image {name} is built",
            resolution=f"Add `build` to images.{name}, with from and os.",
        )
    return image, image.build


def _base(build: ImageBuild, folder: Path) -> Base:
    if is_address(build.from_):
        return Base(None, (build.from_, *build.mirrors), build.sha256)
    return Base((folder / build.from_).absolute(), (), build.sha256)


def _files(build: ImageBuild, folder: Path) -> Iterator[WriteGuestFile]:
    for path, file in build.files.items():
        if file.source is None:
            content = (file.content or "").encode()
        else:
            content = read_content(folder / file.source, f"files.{path}.source")
        yield WriteGuestFile(path, content, file.reason, int(file.mode, 8))


def _repositories(build: ImageBuild, folder: Path) -> Iterator[AddRepository]:
    for name, repository in build.repositories.items():
        key = None
        if repository.key is not None:
            key = read_key(folder / repository.key, f"repositories.{name}.key")
        yield AddRepository(name, repository.uri, repository.reason, repository.suites,
                            repository.components, key)  # fmt: skip


def _driver_settings(driver: ImageDriver, folder: Path) -> DriverSettings:
    key = None if driver.key is None else read_key(folder / driver.key, "driver.key")
    return DriverSettings(driver.branch, driver.modules, driver.cuda, key)


def _packages(build: ImageBuild) -> Iterator[Step]:
    if build.packages:
        yield InstallPackages(build.packages, REASON)
    if build.hold:
        yield HoldPackages(build.hold, REASON)
    for argv in build.run:
        yield RunInGuest(argv, REASON)


def requests(site: Site, folder: Path) -> Mapping[str, BuildRequest]:
    """The requests of all images of the site that are built. Raises UsageError."""
    names = [name for name, image in site.images.items() if image.build is not None]
    return {name: build_request(site, name, folder) for name in names}
