"""All profiles: one row for each name that `images.NAME.build.profiles` can have."""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.guest.agent.files import install_steps
from wholecard.guest.drivers.containers import CONTAINERS_PROFILE
from wholecard.guest.drivers.driver_profiles import DRIVER_PROFILES
from wholecard.guest.image.profile import Profile

AGENT_PROFILE = Profile(
    "agent", "the agent that reports the server's cards", lambda _os, _settings: install_steps()
)

PROFILES: tuple[Profile, ...] = (*DRIVER_PROFILES, CONTAINERS_PROFILE, AGENT_PROFILE)


def profile_named(name: str, profiles: tuple[Profile, ...] = PROFILES) -> Profile:
    """The profile of that name. Raises UsageError where there is none."""
    for profile in profiles:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in profiles) or "none"
    raise UsageError(
        f"there is no profile {name[:80]!r}", resolution=f"Profiles of this version: {known}."
    )
