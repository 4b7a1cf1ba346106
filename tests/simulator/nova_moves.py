"""What nova does with a server, statement by statement: generators in nova's Python.

Each yields after a statement that another reader of the databases can see. The statements and
their order are those of nova 34's conductor (conductor/manager.py, conductor/tasks/migrate.py) and
compute (compute/manager.py); `stageside.py` records the same moves from these very modules, and
`test_stages.py` compares the two.
"""

from __future__ import annotations

import json
import uuid

import nova_kills
from nova.compute import utils as compute_utils
from nova.conductor.tasks import migrate
from nova.pci import request as pci_request
from nova.scheduler import utils as scheduler_utils

from nova import exception, objects

IMAGE = objects.ImageMeta(properties=objects.ImageMetaProps())


class NoHostError(Exception):
    """No host has what was asked for."""


class Moves:
    """Moves of the servers of a world; `choose(list)` picks where nova's scheduler would."""

    def __init__(self, world, choose):
        self.world, self.choose = world, choose
        self.flavors = {}

    def flavor(self, cards):
        if cards not in self.flavors:
            flavor = objects.Flavor(
                self.world.context, name=f"gpu{cards}", flavorid=f"gpu{cards}", memory_mb=1024,
                vcpus=1, root_gb=10, ephemeral_gb=0, swap=0, rxtx_factor=1.0, vcpu_weight=0,
                disabled=False, is_public=True, description="", id=cards + 1,
                extra_specs={"pci_passthrough:alias": f"gpu:{cards}"} if cards else {},
            )  # fmt: skip
            self.flavors[cards] = flavor
        return self.flavors[cards].obj_clone()

    def server(self, name):
        return objects.Instance.get_by_uuid(
            self.world.context, name,
            expected_attrs=["flavor", "pci_requests", "pci_devices", "system_metadata",
                            "migration_context", "numa_topology", "resources"],
        )  # fmt: skip

    def schedule(self, name, flavor, hosts, requests, generation=None, old=None):
        """An allocation on one of the hosts, as nova-scheduler makes it; a mapping of requests."""
        context, client = self.world.context, self.world.client
        spec = objects.RequestSpec(
            context, flavor=flavor, pci_requests=requests, requested_resources=[], image=None,
            request_level_params=objects.RequestLevelParams(), project_id="project",
            user_id="user", instance_uuid=name, is_bfv=False, requested_destination=None,
            force_hosts=None, force_nodes=None, limits=None,
        )  # fmt: skip
        spec.generate_request_groups_from_pci_requests()
        wanted = scheduler_utils.ResourceRequest.from_request_spec(spec)
        if wanted.get_num_of_suffixed_groups() > 1:
            # scheduler/utils.py, resources_from_request_spec.
            wanted.group_policy = "none"
        requests, _, version = client.get_allocation_candidates(context, wanted)
        roots = {self.world.computes[host].hypervisor.uuid: host for host in hosts}
        found = [
            (host, request) for request in requests or () for root, host in roots.items()
            if root in request["allocations"]
        ]  # fmt: skip
        if not found:
            raise NoHostError
        host, request = self.choose(sorted(found, key=lambda one: json.dumps(one, sort_keys=True)))
        mappings = request.get("mappings", {})
        made = client.claim_resources(context, name, {
            "allocations": request["allocations"], "mappings": mappings,
        }, "project", "user", version, consumer_generation=None)  # fmt: skip
        if not made:
            raise NoHostError
        return host, {
            group.requester_id: mappings[group.requester_id] for group in spec.requested_resources
        }

    def told_providers(self, requests, mapping):
        if mapping:
            compute_utils.update_pci_request_with_placement_allocations(
                self.world.context, self.world.client, requests, mapping
            )

    def requests(self, flavor, name):
        found = pci_request.get_pci_requests_from_flavor(flavor)
        found.instance_uuid = name
        return found

    def up(self, but=None):
        return [
            name for name, one in self.world.computes.items()
            if one.tracker and name != but and not one.service.forced_down
        ]  # fmt: skip

    def set(self, instance, **values):
        for key, value in values.items():
            setattr(instance, key, value)
        instance.save()

    def domain(self, host, instance, state="running"):
        """The domain, with the devices that nova's driver gives it: those of the server here."""
        compute = self.world.computes[host]
        rows = objects.PciDeviceList.get_by_compute_node(
            self.world.context, compute.tracker.compute_nodes[host].id
        )
        held = [row.address for row in rows if row.instance_uuid == instance.uuid]
        compute.hypervisor.domains[instance.uuid] = {"state": state, "hostdevs": sorted(held)}

    def undefine(self, host, name):
        self.world.computes[host].hypervisor.domains.pop(name, None)

    # compute/manager.py: build_and_run_instance

    def boot(self, cards, name=None):
        world, name = self.world, name or str(uuid.uuid4())
        flavor = self.flavor(cards)
        requests = self.requests(flavor, name)
        host, mapping = self.schedule(name, flavor, self.up(), requests)
        yield "scheduled"
        instance = objects.Instance(
            world.context, uuid=name, project_id="project", user_id="user", vm_state="building",
            task_state="scheduling", flavor=flavor, instance_type_id=flavor.id, memory_mb=1024,
            vcpus=1, root_gb=10, ephemeral_gb=0, pci_requests=requests, system_metadata={},
            numa_topology=None, display_name=name[:8], launch_index=0, key_name=None,
        )  # fmt: skip
        instance.create()
        yield "created"
        instance = self.server(name)
        self.set(instance, task_state=None)
        yield "building"
        self.told_providers(instance.pci_requests.requests, mapping)
        tracker = world.computes[host].tracker
        held = tracker.reportclient.get_allocations_for_consumer(world.context, name)
        try:
            tracker.instance_claim(world.context, instance, host, held)
        except exception.ComputeResourcesUnavailable as error:
            # No other host is tried: conductor sets it to ERROR.
            world.client.delete_allocation_for_instance(world.context, name, force=True)
            self.set(self.server(name), vm_state="error", task_state=None)
            raise NoHostError from error
        yield "claimed"
        self.set(instance, task_state="spawning")
        self.domain(host, instance)
        yield "spawning"
        self.set(instance, vm_state="active", task_state=None, power_state=1)

    # compute/manager.py: terminate_instance, _complete_deletion

    def delete(self, name):
        if self.server(name).vm_state == "resized":
            # compute/api.py, _confirm_resize_on_deleting.
            yield from self.confirm(name)
        world, instance = self.world, self.server(name)
        host = instance.host
        if host and not world.computes[host].tracker:
            # nova-api deletes it itself while nova-compute is down (compute/api.py, _local_delete).
            world.client.delete_allocation_for_instance(world.context, name, force=True)
            yield "allocation deleted"
            self.set(instance, vm_state="deleted", task_state=None)
            instance.destroy()
            return
        self.set(instance, task_state="deleting")
        yield "deleting"
        yield from self.end_delete(instance, host)

    def end_delete(self, instance, host):
        """The rest, which nova-compute's next process does again from its begin."""
        world, name = self.world, instance.uuid
        if host:
            self.undefine(host, name)
        yield "destroyed"
        self.set(instance, vm_state="deleted", task_state=None, power_state=0)
        yield "vm_state deleted"
        if host and world.computes[host].tracker:
            world.computes[host].tracker.update_usage(world.context, instance, host)
            yield "freed"
        world.client.delete_allocation_for_instance(world.context, name, force=True)
        yield "allocation deleted"
        instance.destroy()

    # conductor/tasks/migrate.py: MigrationTask; compute/manager.py: prep_resize to finish_resize

    def migrate(self, name, cards=None):
        world, instance = self.world, self.server(name)
        context, source = world.context, instance.host
        flavor = instance.flavor if cards is None else self.flavor(cards)
        resize = flavor.id != instance.flavor.id
        self.set(instance, task_state="resize_prep")
        yield "resize_prep"
        migration = objects.Migration(
            context, old_instance_type_id=instance.flavor.id, new_instance_type_id=flavor.id,
            status="pre-migrating", instance_uuid=name, source_compute=source,
            source_node=source, migration_type="resize" if resize else "migration",
        )  # fmt: skip
        migration.create()
        yield "migration created"
        _, _ = migrate.replace_allocation_with_migration(context, instance, migration)
        yield "allocation moved"
        requests = self.requests(flavor, name)
        try:
            host, mapping = self.schedule(name, flavor, self.up(but=source), requests)
            yield "scheduled"
            instance.new_flavor = flavor
            instance.system_metadata["old_vm_state"] = instance.vm_state
            instance.save()
            self.told_providers(instance.pci_requests.requests, mapping)
            tracker = world.computes[host].tracker
            held = tracker.reportclient.get_allocations_for_consumer(context, name)
            tracker.resize_claim(context, instance, flavor, host, migration, held, image_meta=IMAGE)
        except Exception:
            # MigrationTask.rollback.
            if migration.status != "error":
                migration.status = "error"
                migration.save()
            world.client.delete_allocation_for_instance(context, name, force=True)
            migrate.revert_allocation_for_migration(
                context, objects.ComputeNode.get_by_host_and_nodename(context, source, source),
                instance, migration)  # fmt: skip
            instance = self.server(name)
            self.set(instance, task_state=None)
            raise
        yield "claimed"
        yield from self._moved(instance, migration, source, host, resize)

    def _moved(self, instance, migration, source, host, resize):
        """compute/manager.py: _resize_instance on the source, _finish_resize on the destination."""
        world, name = self.world, instance.uuid
        migration.status = "migrating"
        migration.save()
        yield "migrating"
        self.set(instance, task_state="resize_migrating")
        if name in world.computes[source].hypervisor.domains:
            world.computes[source].hypervisor.domains[name]["state"] = "shut off"
        yield "powered off"
        migration.status = "post-migrating"
        migration.save()
        yield "post-migrating"
        instance.old_flavor = instance.flavor
        self.set(instance, host=host, node=host, compute_id=migration.dest_compute_id,
                 task_state="resize_migrated")  # fmt: skip
        yield "resize_migrated"
        if resize:
            instance.instance_type_id = instance.new_flavor.id
            instance.flavor = instance.new_flavor
        instance.apply_migration_context()
        self.set(instance, task_state="resize_finish")
        yield "resize_finish"
        self.domain(host, instance)
        yield "domain"
        migration.status = "finished"
        migration.save()
        yield "finished"
        self.set(instance, vm_state="resized", task_state=None)

    def _move_of(self, name):
        rows = objects.MigrationList.get_by_filters(
            self.world.context, {"instance_uuid": name, "status": "finished"}
        )
        return rows.objects[0]

    def confirm(self, name):
        world, instance, migration = self.world, self.server(name), self._move_of(name)
        source = migration.source_compute
        migration.status = "confirming"
        migration.save()
        yield "confirming"
        self.undefine(source, name)
        yield "undefined"
        world.computes[source].tracker.drop_move_claim_at_source(world.context, instance, migration)
        yield "dropped"
        self.set(instance, vm_state="active", task_state=None)
        yield "active"
        world.client.delete_allocation_for_instance(
            world.context, migration.uuid, consumer_type="migration", force=False
        )
        self._forget_flavors(instance)

    def _forget_flavors(self, instance):
        instance.old_flavor = instance.new_flavor = None
        instance.system_metadata.pop("old_vm_state", None)
        instance.save()

    def revert(self, name):
        world, instance, migration = self.world, self.server(name), self._move_of(name)
        source, host = migration.source_compute, migration.dest_compute
        self.set(instance, task_state="resize_reverting")
        yield "resize_reverting"
        migration.status = "reverting"
        migration.save()
        yield "reverting"
        self.undefine(host, name)
        yield "undefined"
        world.computes[host].tracker.drop_move_claim_at_dest(world.context, instance, migration)
        yield "dropped"
        old = instance.old_flavor
        instance.instance_type_id, instance.flavor = old.id, old
        node = world.computes[source].tracker.get_node_by_name(source)
        self.set(instance, host=source, node=source, compute_id=node.id)
        yield "host reverted"
        migrate.revert_allocation_for_migration(world.context, node, instance, migration)
        yield "allocation reverted"
        self.domain(source, instance)
        instance.drop_migration_context()
        self.set(instance, vm_state="active", task_state=None)
        self._forget_flavors(instance)

    # conductor/manager.py: rebuild_instance; compute/manager.py: _do_rebuild_instance_with_claim

    def evacuate(self, name):
        world, instance = self.world, self.server(name)
        context, source = world.context, instance.host
        self.set(instance, task_state="rebuilding")
        yield "rebuilding"
        migration = objects.Migration(
            context, old_instance_type_id=instance.flavor.id, status="accepted",
            new_instance_type_id=instance.flavor.id, instance_uuid=name, source_compute=source,
            source_node=source, migration_type="evacuation",
        )  # fmt: skip
        migration.create()
        yield "accepted"
        requests = self.requests(instance.flavor, name)
        try:
            host, mapping = self.schedule(name, instance.flavor, self.up(but=source), requests)
            yield "scheduled"
            tracker = world.computes[host].tracker
            self.told_providers(instance.pci_requests.requests, mapping)
            held = tracker.reportclient.get_allocations_for_consumer(context, name)
            tracker.rebuild_claim(
                context, instance, host, held, image_meta=IMAGE, migration=migration
            )
        except Exception as error:
            if not isinstance(error, NoHostError):
                world.client.remove_provider_tree_from_instance_allocation(
                    context, name, world.computes[host].hypervisor.uuid)  # fmt: skip
            migration.status = "error" if isinstance(error, NoHostError) else "failed"
            migration.save()
            self.set(self.server(name), task_state=None)
            raise
        yield "claimed"
        self.set(instance, task_state="rebuild_spawning")
        self.domain(host, instance)
        yield "spawning"
        self.set(instance, vm_state="stopped", task_state=None)
        world.computes[host].hypervisor.domains[name]["state"] = "shut off"
        yield "stopped"
        tracker.finish_evacuation(instance, host, migration)

    # compute/manager.py: init_host, _destroy_evacuated_instances

    def restart(self, host):
        world, compute = self.world, self.world.computes[host]
        compute.tracker = None
        yield "begun"
        moved = objects.MigrationList.get_by_filters(world.context, {
            "source_compute": host, "status": ["accepted", "pre-migrating", "done"],
            "migration_type": "evacuation",
        })  # fmt: skip
        for migration in moved:
            self.undefine(host, migration.instance_uuid)
            yield "destroyed"
            try:
                instance = objects.Instance.get_by_uuid(world.context, migration.instance_uuid)
            except Exception:
                continue
            world.client.remove_provider_tree_from_instance_allocation(
                world.context, instance.uuid, compute.hypervisor.uuid
            )
            yield "allocation removed"
            migration.status = "completed"
            migration.save()
            yield "completed"
        yield from nova_kills.interrupted(self, host)
        compute.service.forced_down = False
        compute.service.save()
        compute.start()
        # compute/manager.py, _cleanup_running_deleted_instances: by default half an hour later.
        servers = objects.InstanceList.get_by_filters(world.context, {"deleted": False})
        for name in set(compute.hypervisor.domains).difference(row.uuid for row in servers):
            self.undefine(host, name)
