"""What the cloud has for the cards: nova-compute's report in Placement, flavors, the image."""

from __future__ import annotations

from collections.abc import Sequence

from openstack.connection import Connection

from wholecard.cloud.changing import apply as applying
from wholecard.cloud.changing.journal import CloudJournal
from wholecard.cloud.client.compute_services import wait_for_compute
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import providers_text, wait_for_providers
from wholecard.cloud.planning.current import find
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.cloud.planning.plan import CloudPlan, plan
from wholecard.core.report_text import findings_text
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.restart import compute_queue, wait_for_consumers
from wholecard.lab.scenario.site_file import site_path
from wholecard.site.load import SiteFile, read_site

# Units of the cards' resource class that each node has.
CARDS = 2


def offer(lab: Lab, conn: Connection, story: Story) -> None:
    """Create the flavors and the image of the lab's site file that do not exist yet."""
    with story.step("cloud: flavors, image in Glance, from site.yaml") as step:
        planned = offer_site(lab, conn, read_site(site_path(lab)))
        step.saw("wholecard cloud plan", str(planned.plan))
        step.note = f"{len(planned.plan.actions)} changes"
        if planned.findings:
            raise LabError("the cloud differs from the site file", findings_text(planned.findings))


def offer_site(lab: Lab, conn: Connection, file: SiteFile) -> CloudPlan:
    """Plan what a site asks of the cloud, apply it, and return what was planned."""
    desired = desired_cloud(file.site, file.facts(), file.release)
    journal = CloudJournal(lab.folder.run / "cloud-journal")
    # A `lab up` that was killed here has left a journal entry that is not finished.
    applying.finish(conn, journal)
    planned = plan(desired, find(conn, desired, file.path.parent))
    applying.apply(conn, journal, planned.plan, file.path)
    return planned


def wait_until_listening(lab: Lab, story: Story, timeout: float = 900) -> None:
    """Wait until the nova-compute of every node listens on this broker.

    Its service may seem to be up although it is not: nova calls it up for a minute after its last
    report (service_down_time). A request to a queue that does not exist yet is lost, and its
    server stays in BUILD for ever (seen).
    """
    with story.step("cloud: nova-compute listens on RabbitMQ"):
        for spec in lab.nodes:
            wait_for_consumers(lab, compute_queue(spec.name), some=True, timeout=timeout)


def wait_for_cards(lab: Lab, conn: Connection, story: Story, timeout: float = 1500) -> None:
    """Wait until nova-compute listens and is up, and every card is free in Placement."""
    wait_until_listening(lab, story, timeout)
    with story.step("cloud: nova-compute reports the cards to Placement") as step:
        for spec in lab.nodes:
            wait_for_compute(conn, spec.name, timeout)
        nodes = len(lab.nodes)
        providers = wait_for_providers(conn, lambda tree: all_free(tree, nodes), timeout)
        step.saw("Placement's providers", providers_text(providers))


def all_free(providers: Sequence[ResourceProvider], nodes: int = 1) -> bool:
    """Whether Placement has all cards of so many nodes and none is allocated."""
    free = sum(free_units(provider, emulated_gpu.GPU_CLASS) for provider in providers)
    return free == CARDS * nodes


def free_units(provider: ResourceProvider, resource_class: str) -> int:
    """Units of a resource class that are not allocated; 0 where the provider has no inventory."""
    inventory = provider.inventory(resource_class)
    return inventory.total - inventory.reserved - inventory.used if inventory else 0
