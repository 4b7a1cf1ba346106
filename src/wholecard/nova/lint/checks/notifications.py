"""Whether a used one-time-use card is announced, so that somebody cleans it soon.

Sources: nova/conf/notifications.py (`notification_format`, unversioned by default);
oslo_messaging/notify/notifier.py (`driver`, by default none, and then nothing is sent).
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic
from wholecard.nova.lint.service import Service

_HEARD = ("versioned", "both")
# The new names and the old ones (oslo_messaging/notify/notifier.py, `deprecated_opts`).
_DRIVERS = (("oslo_messaging_notifications", "driver"), ("DEFAULT", "notification_driver"))
_SILENT = ("", "noop", "log", "routing", "test")


def check_announced(service: Service) -> Iterator[Diagnostic]:
    """WC263: `one_time_use`, and nova-compute sends no versioned notification of a freed card."""
    if service.role not in (None, "compute") or not has(service.major, Capability.ONE_TIME_USE):
        return
    reason, fix = _silence(service)
    for read in service.specs if reason else ():
        if as_boolean(str(read.conf.get("one_time_use", ""))):
            yield entry_diagnostic(
                "WC263", read.value.at_key((*read.path, "one_time_use")),
                f"a card stays reserved after its use until somebody cleans it, and {reason}: only "
                "a look at Placement finds the card",
                fix,
            )  # fmt: skip
            return


def _silence(service: Service) -> tuple[str, str]:
    """Why nothing is announced, and the fix; empty where it is."""
    found = service.effective("notification_format").value
    if (found or "unversioned").strip() not in _HEARD:
        return (
            "notification_format is unversioned"
            if found
            else "notification_format is not set, which means unversioned",
            "Set [notifications] notification_format = both, so that other consumers keep theirs.",
        )
    for section, name in _DRIVERS:
        entries = service.conf.find(section, name)
        if any(entry.value.strip() not in _SILENT for entry in entries):
            return "", ""
    return (
        "nova sends no notifications at all",
        "Set [oslo_messaging_notifications] driver = messagingv2",
    )
