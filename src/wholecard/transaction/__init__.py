"""What every change that can be undone is made of: files written whole, and journals.

Standard library only, Python 3.9: this room travels to hosts.

`syscalls`       each call that changes a host, so that tests can stop a run before each of them
`atomic_files`   a file is the old one or the new one after a crash, never half of either
`checksummed`    JSON that carries its SHA-256, so that damage is seen and not acted on
`journal_store`  numbered folders with a log each
`locks`          one process at a time, and who that is
`os_errors`      what the operating system refuses, with what can be done
"""
