"""What the cloud offers of the cards: nova-compute's report, the flavors, the image."""

from __future__ import annotations

from collections.abc import Sequence

from openstack.connection import Connection

from wholecard.cloud.changing import apply as applying
from wholecard.cloud.changing.journal import CloudJournal
from wholecard.cloud.client.compute_services import wait_for_compute
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import providers_text, wait_for_providers
from wholecard.cloud.planning.current import find
from wholecard.cloud.planning.desired import wanted
from wholecard.cloud.planning.plan import CloudPlan, plan
from wholecard.core.report_text import findings_text
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.parts.root_filesystem import NODE_NAME
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.restart import wait_for_consumers
from wholecard.lab.scenario.site_file import site_path
from wholecard.site.load import SiteFile, read_site

FUNCTIONS = {emulated_gpu.GPU_CLASS: 2, emulated_gpu.AUDIO_CLASS: 2}


def offer(lab: Lab, conn: Connection, story: Story) -> None:
    """The flavors and the image of the lab's site file, made where they are not there yet."""
    with story.step("cloud: flavors, image in Glance, from site.yaml") as step:
        made = offer_site(lab, conn, read_site(site_path(lab)))
        step.saw("wholecard cloud plan", str(made.plan))
        step.note = f"{len(made.plan.actions)} changes"
        if made.findings:
            raise LabError("the cloud has something else than the site", findings_text(
                made.findings))  # fmt: skip


def offer_site(lab: Lab, conn: Connection, file: SiteFile) -> CloudPlan:
    """Plan what a site asks of the cloud, apply it, and return what was planned."""
    asked = wanted(file.site, file.facts(), file.release)
    ledger = CloudJournal(lab.place.run / "cloud-journal")
    applying.finish(conn, ledger)
    made = plan(asked, find(conn, asked, file.path.parent))
    applying.apply(conn, ledger, made.plan, file.path)
    return made


def wait_until_listening(lab: Lab, story: Story, timeout: float = 180) -> None:
    """Until the node's nova-compute listens on this broker.

    Its service may still look alive from before, for its last report is less than a minute old;
    a request that is sent to a queue which nobody has made yet is lost, and its server stays in
    BUILD for ever (seen).
    """
    with story.step("cloud: nova-compute listens on RabbitMQ"):
        wait_for_consumers(lab, f"compute.{NODE_NAME}", some=True, timeout=timeout)


def wait_for_cards(lab: Lab, conn: Connection, story: Story, timeout: float = 300) -> None:
    """Until nova-compute listens and is up, and Placement has every function free."""
    wait_until_listening(lab, story, timeout)
    with story.step("cloud: nova-compute reports the cards to Placement") as step:
        wait_for_compute(conn, NODE_NAME, timeout)
        found = wait_for_providers(conn, all_free, timeout)
        step.saw("Placement's providers", providers_text(found))


def all_free(providers: Sequence[ResourceProvider]) -> bool:
    """Whether Placement has all functions of the lab's cards, and none is allocated."""
    return all(
        sum(free_units(provider, name) for provider in providers) == count
        for name, count in FUNCTIONS.items()
    )


def free_units(provider: ResourceProvider, resource_class: str) -> int:
    """Units of a resource class that nobody holds; 0 where the provider has none of it."""
    inventory = provider.inventory(resource_class)
    return inventory.total - inventory.reserved - inventory.used if inventory else 0
