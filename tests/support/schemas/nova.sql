-- Tables of a cell database of nova 34.0.0 as MariaDB has them after `nova-manage db sync`
-- (information_schema.columns), in SQLite's words: those that an audit reads.

CREATE TABLE compute_nodes (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER PRIMARY KEY,
    service_id INTEGER, vcpus INTEGER NOT NULL, memory_mb INTEGER NOT NULL, local_gb INTEGER NOT
    NULL, vcpus_used INTEGER NOT NULL, memory_mb_used INTEGER NOT NULL, local_gb_used INTEGER
    NOT NULL, hypervisor_type MEDIUMTEXT NOT NULL, hypervisor_version INTEGER NOT NULL, cpu_info
    MEDIUMTEXT NOT NULL, disk_available_least INTEGER, free_ram_mb INTEGER, free_disk_gb
    INTEGER, current_workload INTEGER, running_vms INTEGER, hypervisor_hostname VARCHAR(255),
    deleted INTEGER, host_ip VARCHAR(39), supported_instances TEXT, pci_stats TEXT, metrics
    TEXT, extra_resources TEXT, stats TEXT, numa_topology TEXT, host VARCHAR(255),
    ram_allocation_ratio FLOAT, cpu_allocation_ratio FLOAT, uuid VARCHAR(36),
    disk_allocation_ratio FLOAT, mapped INTEGER
);

CREATE TABLE services (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER PRIMARY KEY, host
    VARCHAR(255), binary VARCHAR(255), topic VARCHAR(255), report_count INTEGER NOT NULL,
    disabled BOOLEAN, deleted INTEGER, disabled_reason VARCHAR(255), last_seen_up DATETIME,
    forced_down BOOLEAN, version INTEGER, uuid VARCHAR(36)
);

CREATE TABLE pci_devices (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, deleted INTEGER, id INTEGER
    PRIMARY KEY, compute_node_id INTEGER NOT NULL, address VARCHAR(12) NOT NULL, product_id
    VARCHAR(4) NOT NULL, vendor_id VARCHAR(4) NOT NULL, dev_type VARCHAR(8) NOT NULL, dev_id
    VARCHAR(255), label VARCHAR(255) NOT NULL, status VARCHAR(36) NOT NULL, extra_info TEXT,
    instance_uuid VARCHAR(36), request_id VARCHAR(36), numa_node INTEGER, parent_addr
    VARCHAR(12), uuid VARCHAR(36)
);

CREATE TABLE instances (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER PRIMARY KEY,
    internal_id INTEGER, user_id VARCHAR(255), project_id VARCHAR(255), image_ref VARCHAR(255),
    kernel_id VARCHAR(255), ramdisk_id VARCHAR(255), launch_index INTEGER, key_name
    VARCHAR(255), key_data MEDIUMTEXT, power_state INTEGER, vm_state VARCHAR(255), memory_mb
    INTEGER, vcpus INTEGER, hostname VARCHAR(255), host VARCHAR(255), user_data MEDIUMTEXT,
    reservation_id VARCHAR(255), launched_at DATETIME, terminated_at DATETIME, display_name
    VARCHAR(255), display_description VARCHAR(255), availability_zone VARCHAR(255), locked
    BOOLEAN, os_type VARCHAR(255), launched_on MEDIUMTEXT, instance_type_id INTEGER, vm_mode
    VARCHAR(255), uuid VARCHAR(36) NOT NULL, architecture VARCHAR(255), root_device_name
    VARCHAR(255), access_ip_v4 VARCHAR(39), access_ip_v6 VARCHAR(39), config_drive VARCHAR(255),
    task_state VARCHAR(255), default_ephemeral_device VARCHAR(255), default_swap_device
    VARCHAR(255), progress INTEGER, auto_disk_config BOOLEAN, shutdown_terminate BOOLEAN,
    disable_terminate BOOLEAN, root_gb INTEGER, ephemeral_gb INTEGER, cell_name VARCHAR(255),
    node VARCHAR(255), deleted INTEGER, locked_by VARCHAR(20), cleaned INTEGER,
    ephemeral_key_uuid VARCHAR(36), hidden BOOLEAN, compute_id BIGINT
);

CREATE TABLE instance_extra (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, deleted INTEGER, id INTEGER
    PRIMARY KEY, instance_uuid VARCHAR(36) NOT NULL, numa_topology TEXT, pci_requests TEXT,
    flavor TEXT, vcpu_model TEXT, migration_context TEXT, keypairs TEXT, device_metadata TEXT,
    trusted_certs TEXT, vpmems TEXT, resources TEXT
);

CREATE TABLE migrations (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER PRIMARY KEY,
    source_compute VARCHAR(255), dest_compute VARCHAR(255), dest_host VARCHAR(255), status
    VARCHAR(255), instance_uuid VARCHAR(36), old_instance_type_id INTEGER, new_instance_type_id
    INTEGER, source_node VARCHAR(255), dest_node VARCHAR(255), deleted INTEGER, migration_type
    VARCHAR(20), hidden BOOLEAN, memory_total BIGINT, memory_processed BIGINT, memory_remaining
    BIGINT, disk_total BIGINT, disk_processed BIGINT, disk_remaining BIGINT, uuid VARCHAR(36),
    cross_cell_move BOOLEAN, user_id VARCHAR(255), project_id VARCHAR(255), dest_compute_id
    BIGINT
);
