"""Cards that stay with the host for its own containers: a CDI specification at each boot. Pure."""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.host.config_files import CDI_SCRIPT, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.operations.config_change import HEAD_LINE, BootUnit, ConfigChange
from wholecard.pci import cdi_script


def container_change(host: Host, desired: DesiredState) -> ConfigChange:
    """The script that writes the specification, and the unit that runs it; none without cards."""
    addresses = tuple(
        str(card.functions[0].address) for card in host.cards if card.slot in desired.containers
    )
    if not addresses:
        return ConfigChange()
    first, rest = cdi_script.CDI_SCRIPT.split("\n", 1)
    unit = BootUnit(
        cdi_script.UNIT_NAME,
        cdi_script.unit_text(addresses),
        f"Containers of this host get {', '.join(addresses)}; device numbers are new at each boot.",
    )
    return ConfigChange(
        files=(
            (
                FileText(CDI_SCRIPT, f"{first}\n{HEAD_LINE}{rest}", 0o755),
                "It writes the CDI specification, by which containers get a card.",
            ),
        ),
        units=(unit,),
    )


def refuse_in_image(desired: DesiredState) -> None:
    """Raises UsageError: what is put into an image as text has no unit of ours."""
    parts: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("--containers", desired.containers),
        ("splits", desired.splits),
        ("modules", desired.modules),
    )
    for option, asked in parts:
        if asked:
            raise UsageError(
                f"{option} cannot be combined with --for-image",
                resolution="Plan the image without it, and apply it on the running host.",
            )
