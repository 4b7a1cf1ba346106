"""The names of a disagreement's `facts`, by which a repair finds the thing again and guards itself.

All values are text; a name is left out where the fact is not known or does not exist.

| name | value |
| --- | --- |
| `row_id` | `pci_devices.id` |
| `row_status` | its `status` as the audit read it |
| `row_instance` | its `instance_uuid`, empty for NULL |
| `row_updated` | its `updated_at` as ISO 8601, naive UTC, empty for NULL |
| `request_id` | of WC513: the server's PCI request that the row should have |
| `compute_node` | `compute_nodes.id`, which the row belongs to |
| `cell` | the cell's name, empty for the only one |
| `provider` | the uuid of the device's resource provider; the host's own where no device is meant |
| `generation` | that provider's generation |
| `resource_class` | the class of its inventory |
| `total`, `reserved`, `used` | that inventory's amounts |
| `consumer` | whose allocation it is: a server's id, a migration's uuid, another's |
| `consumer_generation` | that consumer's generation in Placement |
| `migration`, `migration_id`, `migration_status` | a migration's `uuid`, `id` and `status` |
| `lacks_allocation` | of WC521: `yes` where the server is on this host and holds nothing there |
| `start_fails` | `yes` where nova-compute cannot start because of the device's allocation |
| `domain` | the uuids of the active domains that have the device, joined with commas |
| `service` | the host's nova-compute: `up`, `down`, `disabled`, `forced down` |
"""

from __future__ import annotations

ROW_ID = "row_id"
ROW_STATUS = "row_status"
ROW_INSTANCE = "row_instance"
ROW_UPDATED = "row_updated"
REQUEST_ID = "request_id"
COMPUTE_NODE = "compute_node"
CELL = "cell"
PROVIDER = "provider"
GENERATION = "generation"
RESOURCE_CLASS = "resource_class"
TOTAL = "total"
RESERVED = "reserved"
USED = "used"
CONSUMER = "consumer"
CONSUMER_GENERATION = "consumer_generation"
MIGRATION = "migration"
MIGRATION_ID = "migration_id"
MIGRATION_STATUS = "migration_status"
LACKS_ALLOCATION = "lacks_allocation"
START_FAILS = "start_fails"
DOMAIN = "domain"
SERVICE = "service"
