"""What to change on a host: facts, checks, plan, journal.

Standard library only, Python 3.9: this room travels to hosts as one zipapp. It runs one way:

facts         `inspect` puts a `host.Host` together of parts; `snapshot` is a host as one file,
              `saved` reads what was stored of one. What these import is measured: `core.record`.
checks        `registry` lists the checks; the files hold them by subject.
desired_state what is requested; `planning/device_bindings` says which functions it binds.
planning      `plan` asks each kind of change for a `ConfigChange`: kernel arguments (`kernel_args`,
              by the loaders in `bootloaders`), modules, the claim at boot (`initramfs`), and in
              the running boot `bind_now`.
changing      `apply` and `rollback` play `operations` through the journal, by the engine of the
              room `transaction`; `in_use` refuses first; `verify` checks after the reboot.
agent         the commands, as they travel.
"""
