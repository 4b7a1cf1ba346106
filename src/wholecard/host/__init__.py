"""What to change on a host, one file per kind of change, the plan and the journal.

Standard library only, Python 3.9: this room travels to hosts as one zipapp. It runs one way:

reading     `facts` puts a `host.Host` together; `cpu`, `memory`, `firmware`, `framebuffers`,
            `uses`, `natives`, `kernel_log`, `boot`, `settings` read a part of it each;
            `snapshot` (`snapshot_paths`, `archive`) is a host as one file; `stored` reads what
            was kept of one. What these import is measured: see `core.record`.
checking    `check` lists the checks; `check_*` hold them by subject; `parameters` reads what
            other people's settings say.
wishing     `wish`, `hugepages`, `isolation`; `bound` says which functions a wish binds.
planning    `plan` asks each kind of change for a `change.Change`: the kernel's arguments
            (`arguments`, and by loader `grub` with `grub_tools`, `entries` with `grubby`,
            `kernel_cmdline` with `kernel_install`), `modules`, the claim at boot (`claim` in
            `initramfs_tools` or `dracut`), and in the running boot `binding`.
doing       `apply` and `rollback` carry out `operations` (`driver` among them) through the
            `journal` (`backup`, `space`), which is built of the room `transaction`; `in_use` and
            `domains` refuse first.
proving     `verify` after the reboot; `drift` for `status`.
speaking    `agent`, `options`, `wish_options`, `help`, `commands`, `text`, `host_text`; `zipapp`
            packs it all.
"""
