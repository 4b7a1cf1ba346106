"""How a host is asked to clean a card: by its agent over ssh, or here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from wholecard.core import WholecardError
from wholecard.fleet import Fleet, Ssh, Watcher
from wholecard.host.cleaning.clean_card import clean_card

# A reset takes seconds, a look at the memory some 20 s for each BAR; a host may be slow.
CLEAN_SECONDS = 600.0


class Cleaner(Protocol):
    """Who asks hosts."""

    def reaches(self, host: str) -> bool:
        """Whether cards of this host (a hypervisor's host name) are cleaned at all."""

    def clean(self, host: str, address: str) -> dict[str, Any]:
        """The report of `wholecard-host clean-card --json`. Raises WholecardError."""


class SshCleaner:
    """Hosts by their hypervisor's host name, as ssh's own configuration knows them."""

    def __init__(self, ssh: Ssh, scrub: bool = False) -> None:
        self._ssh, self._scrub = ssh, scrub

    def reaches(self, host: str) -> bool:  # noqa: ARG002 -- all of them
        """All hosts."""
        return True

    def clean(self, host: str, address: str) -> dict[str, Any]:
        """See Cleaner."""
        words = ["clean-card", address, "--json"]
        if self._scrub:
            words.append("--scrub-visible")
        result = Fleet([host], self._ssh, 1, CLEAN_SECONDS).run(words, Watcher())[0]
        if result.error is not None:
            raise result.error
        answer = result.to_json()["output"]
        if not isinstance(answer, dict) or "verdict" not in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            said = error if isinstance(error, dict) else {}
            raise WholecardError(
                f"{host}: {said.get('brief') or 'clean-card gave no report'}",
                str(said.get("details") or result.stderr.strip()[-500:]),
                str(said.get("resolution") or ""),
            )
        return answer


class LocalCleaner:
    """This host alone; `name` is its hypervisor's host name, `root` its root folder."""

    def __init__(self, name: str, root: Path = Path("/"), scrub: bool = False) -> None:
        self._name, self._root, self._scrub = name, root, scrub

    def reaches(self, host: str) -> bool:
        """Only this host."""
        return host == self._name

    def clean(self, host: str, address: str) -> dict[str, Any]:  # noqa: ARG002 -- this one
        """See Cleaner."""
        return clean_card(self._root, address, self._scrub).to_json()
