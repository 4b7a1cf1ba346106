"""What a plan would do, for a system that comes from an image: text to paste, nothing is changed.

The functions of one host are in the table that goes into the image, by their slots; a host with
other functions in these slots binds none of them. Source: bootc documentation, "Kernel arguments"
and "Generating custom initramfs"; Containerfile(5), here-documents; rpm-ostree(1); transactional-
update(8).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from wholecard.core import UsageError
from wholecard.host.bootloaders import grub_own_part, kernel_install
from wholecard.host.config_files import GRUB, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.initramfs.registry import initramfs_tool_named
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.planning.device_bindings import bound_functions
from wholecard.host.planning.plan import (
    boot_state,
    desired_kernel_args,
    module_settings,
    refuse_driverless,
    rpm_ostree_kargs,
)

KINDS = ("bootc", "rpm-ostree", "transactional-update", "files")

_OF_SYSTEM = {"ostree": "rpm-ostree", "read-only": "files", "read-only /usr": "files"}
_END = "END-OF-FILE"


def image_changes(host: Host, desired: DesiredState, kind: str = "") -> str:
    """The text for one kind of image, by default that of the host; `files` is a shell script.

    Raises as `plan` does, but for boot loaders, and UsageError where the host has no kind.
    """
    kind = kind or _OF_SYSTEM.get(host.boot.image_based, host.boot.image_based)
    if not kind:
        raise UsageError(
            "this host's files are changed in place: it does not come from an image",
            resolution=f"Leave --for-image out, or name the image's kind: {', '.join(KINDS)}.",
        )
    bound = bound_functions(host, desired)
    refuse_driverless(host, bound)
    tool = initramfs_tool_named("dracut" if kind != "files" else host.boot.initramfs or "dracut")
    initramfs = tool.change().files if tool else ()
    files = [file for file, _ in (*module_settings(host, desired, bound).files, *initramfs)]
    kernel_args = desired_kernel_args(host, desired, host.boot.command_line)
    if kind == "transactional-update":
        return _transactional(host, files, kernel_args)
    if kind == "files":
        return (
            f"# The kernel arguments: {_args_comment(kernel_args)}\n"
            "# In the build of the image, before its initramfs is made:\n" + _script(files)
        )
    return _container(files, kernel_args, bootc=kind == "bootc")


def _args_comment(kernel_args: KernelArgs) -> str:
    without = f"; and without {' '.join(kernel_args.absent)}" if kernel_args.absent else ""
    return f"{kernel_args}{without}"


def _container(files: Iterable[FileText], kernel_args: KernelArgs, bootc: bool) -> str:
    lines = ["ARG BASE", "FROM ${BASE}"]
    if bootc:
        kargs = ", ".join(f'"{word}"' for word in kernel_args.words)
        toml = FileText("/usr/lib/bootc/kargs.d/10-wholecard.toml", f"kargs = [{kargs}]\n")
        files = [*files, toml]
    for file in files:
        lines += [f'COPY --chmod={file.mode:04o} <<"{_END}" {file.path}', f"{file.text}{_END}"]
    lines += [
        "RUN kernel=$(cd /usr/lib/modules && echo *) && \\",
        '    dracut --force --no-hostonly "/usr/lib/modules/$kernel/initramfs.img" "$kernel"',
        "RUN bootc container lint" if bootc else "RUN ostree container commit",
    ]
    switch = "bootc switch" if bootc else "rpm-ostree rebase ostree-unverified-registry:"
    status = "bootc status" if bootc else "rpm-ostree status"
    head = [
        f"# Where images are built. BASE is the image that this host boots ({status} shows it),",
        "# IMAGE the name of the new one.",
        'podman build --build-arg BASE="$BASE" --tag "$IMAGE" --file - . <<"CONTAINERFILE"',
        *lines,
        "CONTAINERFILE",
        'podman push "$IMAGE"',
        "",
        "# On the host:",
    ]
    if bootc:
        if kernel_args.absent:
            head.append(f"# Remove from other files in kargs.d: {' '.join(kernel_args.absent)}")
        return "\n".join([*head, f'{switch} "$IMAGE"', "systemctl reboot"])
    return "\n".join(
        [*head, rpm_ostree_kargs(kernel_args), f'{switch}"$IMAGE"', "systemctl reboot"]
    )


def _transactional(host: Host, files: list[FileText], kernel_args: KernelArgs) -> str:
    if host.boot.loader == "sdbootutil":
        script = _script([*files, kernel_install.changed_file(boot_state(host), kernel_args)])
        then = "transactional-update --continue run sdbootutil update-all-entries"
    else:
        shell = grub_own_part.shell_text(boot_state(host), kernel_args)
        script, then = _script(files), "transactional-update --continue grub.cfg"
        script += f"cat >> {GRUB} <<'{_END}'\n{shell}{_END}" if shell else ""
    return "\n".join(
        [
            "# On the host; the last command reboots it into the new snapshot.",
            "transactional-update run sh -ec \"$(cat <<'WHOLECARD'",
            script.rstrip("\n"),
            "WHOLECARD",
            ')"',
            "transactional-update --continue initrd",
            then,
            "systemctl reboot",
        ]
    )


def _script(files: Iterable[FileText]) -> str:
    """A shell script that writes the files."""
    lines = []
    for file in files:
        path = shlex.quote(file.path)
        lines += [
            f"mkdir -p {shlex.quote(file.path.rpartition('/')[0])}",
            f"cat > {path} <<'{_END}'",
            f"{file.text}{_END}",
            f"chmod {file.mode:04o} {path}",
        ]
    return "\n".join(lines) + "\n"
