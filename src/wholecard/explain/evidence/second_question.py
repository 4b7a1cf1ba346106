"""When nova asks Placement a second time."""

from __future__ import annotations

from wholecard.explain.evidence.conf_values import other
from wholecard.explain.evidence.evidence import Evidence
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.flavor.resource_request import resource_request

NO_FALLBACK = "disable_fallback_pcpu_query"


def asks_again(evidence: Evidence) -> bool:
    """Whether nova asks Placement a second time, for VCPU instead of PCPU."""
    asked = resource_request(evidence.request, evidence.release)
    return asked.pinned and not no_second_question(evidence)


def no_second_question(evidence: Evidence) -> str:
    """Where the second question is turned off, as `file:line`; empty where it is not."""
    conf = evidence.scheduler
    setting = other(conf, "workarounds", NO_FALLBACK) if conf else None
    return setting.where if setting and as_boolean(setting.text) else ""
