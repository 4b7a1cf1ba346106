"""A mutation, and those that have a name: faults that once went unnoticed, or must never."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """One change: in the file below `src/wholecard`, `old` becomes `new`; what it breaks."""

    name: str
    file: str
    old: str
    new: str
    what: str


NAMED = (
    Mutation("H01", "transaction/atomic_files.py",
             "                yield descriptor\n                syscalls.fsync(descriptor)\n",
             "                yield descriptor\n", "a file takes its name and was not synced"),
    Mutation("H11", "host/operations/run_tool.py",
             "        start(context, self.again or self.argv, self.timeout)\n",
             "        syscalls.start(('chroot', str(context.root), *(self.again or self.argv)), "
             "self.timeout, ())\n", "the tool of a rollback does not hold the lock"),
    Mutation("H14", "transaction/atomic_files.py",
             "    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):\n",
             "    if traits.mode != fresh.mode:\n        syscalls.chmod(descriptor, traits.mode)\n"
             "    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):\n",
             "mode before owner"),
    Mutation("H15", "transaction/atomic_files.py",
             "        data = data[syscalls.write(descriptor, data) :]",
             "        syscalls.write(descriptor, data)\n        break",
             "a short write counts as a whole one"),
    Mutation("H19", "transaction/syscalls.py",
             "os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC",
             "os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC", "a scratch file is somebody's link"),
    Mutation("H20", "transaction/syscalls.py", "_APPEND = _NEW & ~os.O_EXCL |",
             "_APPEND = _NEW & ~os.O_EXCL & ~os.O_NOFOLLOW |", "the log is written through a link"),
    Mutation("H29", "transaction/backup.py", "syscalls.mkdir(store, 0o700)",
             "syscalls.mkdir(store, 0o755)", "the store of former files is open to all"),
    Mutation("H40", "host/bootloaders/grub_defaults.py", "return words[BOTH] + words[DEFAULT]",
             "return words[DEFAULT] + words[BOTH]", "the order of GRUB's two variables"),
    Mutation("H47", "host/bootloaders/grub_defaults.py", r'not re.search(r"[$`\\]", rest)',
             'not re.search(r"[$`]", rest)', "a backslash in a GRUB value is plain"),
    Mutation("H61", "host/facts/snapshot_archive.py", '        or ".." in steps[up:]\n', "",
             "a link of a snapshot may say a/../.."),
    Mutation("H63", "host/facts/snapshot_archive.py", "if self._left < 0:",
             "if self._left < -(1 << 62):", "no limit for an archive"),
    Mutation("H65", "host/facts/snapshot_archive.py",
             "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW", "os.O_WRONLY | os.O_CREAT",
             "a member is written through a link"),
    Mutation("N01", "nova/match/pools.py", "        if pool.count > count:",
             "        if pool.count >= count:", "an emptied pool stays"),
    Mutation("N03", "nova/match/stages.py",
             "if pool.provider in taken and pool.count >= taken[pool.provider]]",
             "if pool.provider in taken]", "Placement's choice without its count"),
    Mutation("N09", "nova/match/stages.py",
             'if policy == "legacy" or count_of(near_or_nowhere) >= demand.request.count:',
             'if policy == "legacy":', "`preferred` never stays near"),
    Mutation("N21", "nova/render/drop_in_file.py",
             'tuple(value.replace("$", "$$") for value in values)', "tuple(values)",
             "a dollar is not escaped"),
    Mutation("N26", "nova/conf/conf_file.py", "LARGEST = 4 << 20", "LARGEST = 400 << 20",
             "a nova.conf of 400 MB is read"),
    Mutation("C07", "transaction/engine.py",
             "    with system.journal.lock() as descriptor, explained():\n"
             "        entries = _to_undo(system.journal, to)\n",
             "    descriptor = 0\n    with explained():\n"
             "        entries = _to_undo(system.journal, to)\n", "rollback takes no lock"),
    Mutation("C09", "cloud/operations/quotas.py",
             "if limit.resource_name == self.resource and limit.description == MADE:",
             "if limit.resource_name == self.resource:", "another's registered limit is deleted"),
    Mutation("A02", "explain/checks/placement.py",
             "if any(required <= card.traits for card in cards):",
             "if all(required <= card.traits for card in cards):", "every card needs the traits"),
    Mutation("A10", "explain/checks/placement.py",
             "    if case.asks_placement:\n        return result\n", "    return result\n",
             "a doubt becomes a cause"),
    Mutation("F02", "transaction/atomic_files.py",
             "        return Path(inside(root, path, follow))",
             "        return root / path.lstrip('/')", "links lead out of an image"),
    Mutation("F04", "cloud/operations/traits.py", "if answer.status_code != _CREATED:",
             "if False:", "a trait that others made counts as ours"),
    Mutation("F13", "host/operations/run_tool.py",
             "        sync_files(root, self.targets(root))\n", "",
             "a tool's outputs are not synced before `done`"),
)  # fmt: skip
