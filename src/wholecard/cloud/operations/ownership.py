"""Objects that are found by their name and known again by mark and id: ours, or another's."""

from __future__ import annotations

from typing import Protocol, TypeVar

from wholecard.cloud.client.errors import GoneError


class Marked(Protocol):
    """An object as it is; `ours` when it carries our mark."""

    @property
    def id(self) -> str:
        """The id that the cloud gave it."""

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""


Found = TypeVar("Found", bound=Marked)


def id_of(found: Marked | None) -> str | None:
    """Its id, None where there is none."""
    return None if found is None else found.id


def required(found: Found | None, what: str, holder: str | None) -> Found:
    """The object, if it is ours and has the id `holder`: no other one is ever changed.

    `what` names it ("flavor gpu"); `holder` is None where the id is not known. Raises GoneError.
    """
    if found is None:
        raise GoneError(f"the {what} is gone", resolution="See who deleted it.")
    if not found.ours:
        raise GoneError(
            f"the {what} is not wholecard's any more", resolution="See who made it anew."
        )
    if holder not in (None, found.id):
        raise GoneError(
            f"the {what} is {found.id} and not {holder}, which was changed here",
            resolution="See who made it anew.",
        )
    return found
