"""Changes that can be undone: one engine, journals, backups, and files that are written whole.

Standard library only, Python 3.9: this room travels to hosts.

`engine`         plans applied, finished and rolled back, for a host and for a cloud
`journal_store`  numbered folders with a log each
`backup`         former files, to be put back to the byte
`syscalls`       each call that changes a host, so that tests can stop a run before each of them
`atomic_files`   a file is the old one or the new one after a crash, never half of either
`checksummed`    JSON with its SHA-256, so that a damaged file is refused
`json_fields`    values read from it, checked
`locks`          one process at a time, and who that is
`os_errors`      what the operating system refuses, with what can be done
"""
