"""Files that a deployment tool writes for all services of nova alike.

In such a file an option that one service does not read is there for the others, and nobody can
move it: the tool writes it again. Source: openstack-ansible-os_nova, templates/nova.conf.j2; the
services share most of that file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wholecard.nova.conf.conf_file import normal
from wholecard.nova.lint.service import Service
from wholecard.nova.options import Option

# Sections that nova reads in one service alone, or nearly.
_OF_SERVICES = (
    frozenset({"api", "api_database", "wsgi"}),
    frozenset({"conductor"}),
    frozenset({"filter_scheduler", "scheduler"}),
    frozenset({"image_cache", "libvirt"}),
)
# A file with a section of so many services is for all of them.
_SHARED = 3


def is_for_others(path: str, option: Option, services: Sequence[Service]) -> bool:
    """Whether an option that its own service does not read is in this file for others.

    It is not where a service that reads the option is examined too and does not have it: then it
    was written into the wrong file.
    """
    holders = [one for one in services if any(each.path == path for each in one.conf.files)]
    if not any(_is_shared(entry.section for entry in one.conf.entries) for one in holders):
        return False
    readers = (one for one in services if one.reads(option.name))
    return all(one.effective(option.name).entries for one in readers)


def _is_shared(sections: Iterable[str]) -> bool:
    present = {normal(section) for section in sections}
    return sum(not present.isdisjoint(own) for own in _OF_SERVICES) >= _SHARED
