-- Tables of the API database of nova 34.0.0 as MariaDB has them after `nova-manage api_db sync`
-- (information_schema.columns), in SQLite's words: those that an audit reads.

CREATE TABLE cell_mappings (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, uuid VARCHAR(36) NOT NULL,
    name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled BOOLEAN
);

CREATE TABLE host_mappings (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, cell_id INTEGER NOT NULL,
    host VARCHAR(255) NOT NULL
);

CREATE TABLE instance_mappings (
    created_at DATETIME, updated_at DATETIME, id INTEGER PRIMARY KEY, instance_uuid VARCHAR(36)
    NOT NULL, cell_id INTEGER, project_id VARCHAR(255) NOT NULL, queued_for_delete BOOLEAN,
    user_id VARCHAR(255)
);
