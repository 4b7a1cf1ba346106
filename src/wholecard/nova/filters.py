"""nova-scheduler's `enabled_filters`: what stands there, and what has to stand there for cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from wholecard.core import WholecardError

PCI_FILTER = "PciPassthroughFilter"

# nova 34, nova/conf/scheduler.py, the option's own default; the PCI filter is not among them.
NOVA_DEFAULT_FILTERS = (
    "ComputeFilter",
    "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)


def read_enabled_filters(files: Sequence[Path]) -> tuple[str, ...]:
    """The `[filter_scheduler] enabled_filters` that nova would read from these files.

    `files` stand in the order in which nova reads them: the last one that sets the option wins,
    nova's own default stands where none does. Parsed by oslo.config, as nova does.

    Raises WholecardError when a file is missing, unreadable or not in oslo.config's format.
    """
    conf = cfg.ConfigOpts()
    conf.register_opt(
        cfg.ListOpt("enabled_filters", default=list(NOVA_DEFAULT_FILTERS)),
        group="filter_scheduler",
    )
    try:
        conf(args=[], default_config_files=[str(file) for file in files], default_config_dirs=[])
        return tuple(conf.filter_scheduler.enabled_filters)
    except cfg.Error as error:
        raise WholecardError(
            "cannot read enabled_filters from nova's configuration",
            str(error),
            "Name the files that nova-scheduler itself reads.",
        ) from error


def with_pci_filter(current: Sequence[str]) -> tuple[str, ...]:
    """The same filters in the same order, the PCI filter at the end unless it is there already."""
    return (*current,) if PCI_FILTER in current else (*current, PCI_FILTER)
