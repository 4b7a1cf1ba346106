-- Tables of openstack-placement 16.0.0 as MariaDB has them after `placement-manage db sync`
-- (information_schema.columns), in SQLite's words: those that an audit reads.

CREATE TABLE resource_classes (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL
);

CREATE TABLE traits (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL
);

CREATE TABLE resource_providers (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, uuid VARCHAR(36) NOT NULL,
    name VARCHAR(200), generation INTEGER, root_provider_id INTEGER, parent_provider_id INTEGER
);

CREATE TABLE inventories (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, resource_provider_id
    INTEGER NOT NULL, resource_class_id INTEGER NOT NULL, total INTEGER NOT NULL, reserved
    INTEGER NOT NULL, min_unit INTEGER NOT NULL, max_unit INTEGER NOT NULL, step_size INTEGER
    NOT NULL, allocation_ratio FLOAT NOT NULL
);

CREATE TABLE allocations (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, resource_provider_id
    INTEGER NOT NULL, consumer_id VARCHAR(36) NOT NULL, resource_class_id INTEGER NOT NULL, used
    INTEGER NOT NULL
);

CREATE TABLE consumers (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, uuid VARCHAR(36) NOT NULL,
    project_id INTEGER NOT NULL, user_id INTEGER NOT NULL, generation INTEGER NOT NULL,
    consumer_type_id INTEGER
);

CREATE TABLE projects (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, external_id VARCHAR(255)
    NOT NULL
);

CREATE TABLE users (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, external_id VARCHAR(255)
    NOT NULL
);

CREATE TABLE consumer_types (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, name VARCHAR(255) NOT NULL
);

CREATE TABLE resource_provider_traits (
    created_at DATETIME, updated_at DATETIME, trait_id INTEGER NOT NULL, resource_provider_id
    INTEGER NOT NULL
);
