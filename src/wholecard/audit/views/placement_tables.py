"""The tables of Placement's database that an audit reads.

Source: placement/db/sqlalchemy/models.py; the same tables were in nova's API database until Stein.
`consumers.generation` came with Rocky.
"""

from __future__ import annotations

import os_resource_classes
from sqlalchemy import Float, Integer, String, column, table

RESOURCE_PROVIDERS = table(
    "resource_providers",
    *(column(name, String) for name in ("uuid", "name")),
    *(
        column(name, Integer)
        for name in ("id", "generation", "root_provider_id", "parent_provider_id")
    ),
)
INVENTORIES = table(
    "inventories",
    *(
        column(name, Integer)
        for name in ("resource_provider_id", "resource_class_id", "total", "reserved", "max_unit")
    ),
    column("allocation_ratio", Float),
)
ALLOCATIONS = table(
    "allocations",
    *(column(name, Integer) for name in ("resource_provider_id", "resource_class_id", "used")),
    column("consumer_id", String),
)
CONSUMERS = table(
    "consumers",
    column("uuid", String),
    *(column(name, Integer) for name in ("project_id", "user_id", "generation")),
)
PROJECTS = table("projects", column("id", Integer), column("external_id", String))
USERS = table("users", column("id", Integer), column("external_id", String))
RESOURCE_CLASSES = table("resource_classes", column("id", Integer), column("name", String))
TRAITS = table("traits", column("id", Integer), column("name", String))
PROVIDER_TRAITS = table(
    "resource_provider_traits",
    *(column(name, Integer) for name in ("trait_id", "resource_provider_id")),
)

NAMES = (
    "resource_providers", "inventories", "allocations", "consumers", "projects", "users",
    "resource_classes", "traits", "resource_provider_traits",
)  # fmt: skip


def standard_classes() -> dict[str, str]:
    """Standard classes by id, which older releases have in the code and not in the table."""
    return {str(number): name for number, name in enumerate(os_resource_classes.STANDARDS)}
