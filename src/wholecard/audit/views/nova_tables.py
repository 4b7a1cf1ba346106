"""The tables and columns of nova's cell database that an audit reads, by the schema that is there.

Source: nova/db/main/models.py of Queens to 2026.2. Columns that came later are asked for only where
the table has them: `instances.hidden` (Train, 2.x of cross-cell resize), `migrations.uuid` (Pike),
`compute_nodes.uuid` (Liberty). Never read: `user_data`, `key_data`, `keypairs`, `config_drive`,
`trusted_certs`, `cell_mappings.transport_url` and `.database_connection`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, String, column, table

COMPUTE_NODES = table(
    "compute_nodes",
    *(column(name, String) for name in ("uuid", "host", "hypervisor_hostname")),
    column("id", Integer),
    column("deleted", Integer),
)

SERVICES = table(
    "services",
    *(column(name, String) for name in ("host", "binary")),
    *(column(name, Boolean) for name in ("disabled", "forced_down")),
    *(column(name, DateTime) for name in ("created_at", "last_seen_up")),
    *(column(name, Integer) for name in ("id", "deleted")),
)

PCI_DEVICES = table(
    "pci_devices",
    *(
        column(name, String)
        for name in (
            "address", "vendor_id", "product_id", "dev_type", "label", "status", "request_id",
            "extra_info", "instance_uuid", "parent_addr", "created_at", "updated_at", "deleted_at",
        )
    ),
    *(column(name, Integer) for name in ("id", "compute_node_id", "numa_node", "deleted")),
)  # fmt: skip

INSTANCES = table(
    "instances",
    *(
        column(name, String)
        for name in (
            "uuid", "host", "node", "vm_state", "task_state", "project_id", "display_name",
        )
    ),
    *(column(name, DateTime) for name in ("created_at", "updated_at")),
    *(column(name, Integer) for name in ("id", "power_state", "deleted", "hidden")),
)  # fmt: skip

INSTANCE_EXTRA = table(
    "instance_extra",
    *(column(name, String) for name in ("instance_uuid", "pci_requests", "flavor")),
    column("deleted", Integer),
)

MIGRATIONS = table(
    "migrations",
    *(
        column(name, String)
        for name in (
            "uuid", "status", "migration_type", "instance_uuid", "source_compute", "dest_compute",
            "source_node", "dest_node",
        )
    ),
    *(column(name, DateTime) for name in ("created_at", "updated_at")),
    *(column(name, BigInteger) for name in ("id", "deleted")),
)  # fmt: skip

HOST_MAPPINGS = table("host_mappings", column("host", String), column("cell_id", Integer))
CELL_MAPPINGS = table(
    "cell_mappings", column("id", Integer), column("uuid", String), column("name", String)
)
INSTANCE_MAPPINGS = table(
    "instance_mappings",
    *(column(name, String) for name in ("instance_uuid", "project_id")),
    column("cell_id", Integer),
    column("queued_for_delete", Boolean),
)
