"""Keystone's catalog and users for the lab's services, through the real API."""

from __future__ import annotations

from collections.abc import Mapping

from openstack.connection import Connection
from openstack.identity.v3._proxy import Proxy as Identity

from wholecard.cloud.client.errors import api_errors
from wholecard.lab.control.service_settings import USERS, ServiceSettings, node_url

REGION = "RegionOne"
# Service, its type in the catalog, the path behind its address.
SERVICES = (
    ("keystone", "identity", "/v3"),
    ("nova-api", "compute", "/v2.1"),
    ("glance", "image", ""),
    ("placement", "placement", ""),
    ("neutron", "network", ""),
)


def register(conn: Connection, settings: ServiceSettings) -> None:
    """Create or correct the services' users and endpoints; what is right is left alone.

    Public endpoints are on the machine's loopback, internal ones are those that a node reaches.
    Raises CloudError.
    """
    with api_errors(conn, "register the services in Keystone"):
        identity = conn.identity
        # clouds.yaml names v3; the SDK types it as either version.
        if not isinstance(identity, Identity):
            raise TypeError("clouds.yaml does not name identity API version 3")
        _users(identity, settings.secrets)
        _endpoints(identity, settings)


def _users(identity: Identity, secrets: Mapping[str, str]) -> None:
    project = identity.find_project("service") or identity.create_project(
        name="service", domain_id="default"
    )
    roles = {role.name: role for role in identity.roles()}
    if "service" not in roles:
        roles["service"] = identity.create_role(name="service")
    existing = {user.name for user in identity.users()}
    for name in USERS:
        if name in existing:
            continue
        user = identity.create_user(
            name=name, password=secrets[name], domain_id="default", default_project_id=project.id
        )
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(project, user, roles[role])


def _endpoints(identity: Identity, settings: ServiceSettings) -> None:
    services = {service.type: service for service in identity.services()}
    endpoints = {
        (endpoint.service_id, endpoint.interface): endpoint for endpoint in identity.endpoints()
    }
    for name, kind, path in SERVICES:
        service = services.get(kind) or identity.create_service(name=name, type=kind)
        for interface, base in (("public", settings.url(name)), ("internal", node_url(name))):
            url = base + path
            endpoint = endpoints.get((service.id, interface))
            if endpoint is None:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=REGION
                )
            elif endpoint.url != url:
                identity.update_endpoint(endpoint, url=url)
