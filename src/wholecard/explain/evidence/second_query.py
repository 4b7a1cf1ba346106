"""When nova asks Placement a second time, for VCPU instead of PCPU."""

from __future__ import annotations

from wholecard.explain.evidence.conf_values import other
from wholecard.explain.evidence.evidence import Evidence
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.flavor.resource_request import resource_request

# nova/conf/workarounds.py
NO_FALLBACK = "disable_fallback_pcpu_query"


def asks_again(evidence: Evidence) -> bool:
    """Whether nova asks a second time where the first query finds no candidate."""
    request = resource_request(evidence.request, evidence.release)
    return request.pinned and not no_second_query(evidence)


def no_second_query(evidence: Evidence) -> str:
    """Where the second query is turned off, as `file:line`; empty where it is not."""
    conf = evidence.scheduler
    setting = other(conf, "workarounds", NO_FALLBACK) if conf else None
    return setting.position if setting and as_boolean(setting.text) else ""
