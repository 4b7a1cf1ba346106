"""The whole way on every distribution: its files, its tools, and back to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.distributions import (
    Distribution,
    debian_13_systemd_boot,
    el,
    el_kernelopts,
    everything,
    leap,
    pop,
)
from support.golden import compare
from support.tree import grow, snapshot
from wholecard.core import WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply
from wholecard.host.changing.rollback import rollback
from wholecard.host.desired_state import DesiredState, HugePages, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.planning.plan import plan
from wholecard.transaction.engine import Outcome

ASKED = DesiredState((), hugepages=(HugePages("1G", 8),), isolated_cpus="2-3")
ALL = pytest.mark.parametrize("one", everything(), ids=lambda one: one.name)


def prepare(root: Path, asked: DesiredState | None = None) -> Outcome:
    host = inspect(root)
    desired = resolve(host, [], all_cards=True, asked=asked)
    return apply(root, host, desired, plan(host, desired))


def called(calls: Path) -> tuple[str, ...]:
    return tuple(calls.read_text().splitlines()) if calls.exists() else ()


def next_words(root: Path) -> list[str]:
    return (inspect(root).boot.next_command_line or "").split()


@ALL
def test_found(tmp_path: Path, one: Distribution) -> None:
    """The boot loader and the initramfs tool are told by the files."""
    boot = inspect(grow(tmp_path, one.tree)).boot
    assert (boot.loader, boot.initramfs) == (one.loader, one.initramfs)


@ALL
def test_whole_way(tmp_path: Path, calls: Path, one: Distribution) -> None:
    """Apply runs the distribution's tools, then plans no more; rollback restores every byte."""
    root = grow(tmp_path / "root", one.tree)
    before = snapshot(root)
    prepare(root)
    assert called(calls) == one.calls
    words = next_words(root)
    assert {"intel_iommu=on", "iommu=pt"} <= {*words}
    assert "intel_iommu=off" not in words
    assert prepare(root).journal is None
    rollback(root)
    assert snapshot(root) == before
    again = ("proxmox-boot-tool refresh",) if one.loader == "proxmox-boot-tool" else ()
    assert called(calls) == (*one.calls, *again)


@ALL
def test_what_the_site_asks(tmp_path: Path, calls: Path, one: Distribution) -> None:
    """Huge pages and isolated CPUs are arguments like the others, and given back."""
    root = grow(tmp_path / "root", one.tree)
    before = snapshot(root)
    prepare(root, ASKED)
    words = next_words(root)
    start = words.index("default_hugepagesz=1G")
    assert words[start : start + 3] == ["default_hugepagesz=1G", "hugepagesz=1G", "hugepages=8"]
    assert {"isolcpus=managed_irq,domain,2-3", "nohz_full=2-3", "rcu_nocbs=2-3"} <= {*words}
    assert prepare(root, ASKED).journal is None
    rollback(root)
    assert snapshot(root) == before


@ALL
def test_printed(tmp_path: Path, one: Distribution) -> None:
    """The plan of each distribution prints as this; the scripts are left to their own texts."""
    host = inspect(grow(tmp_path, one.tree))
    made = plan(host, resolve(host, [], all_cards=True))
    text = "".join(
        f"{action.kind} {action.subject}\n"
        + (
            ""
            if "/scripts/" in action.subject
            or ("wholecard" in action.subject and "/grub.d/" not in action.subject)
            else f"{action.do.describe()}\n"
        )
        for action in made.actions
    )
    compare(f"plan-{one.name}.txt", text)


def test_el_rolls_back_after_a_new_kernel(tmp_path: Path, calls: Path) -> None:
    """Entries that changed since are not put back: grubby takes the arguments out of all."""
    one = el("rocky", "9.5", "5.14.0-503.11.1.el9_5.x86_64")
    root = grow(tmp_path / "root", one.tree)
    prepare(root)
    new = "boot/loader/entries/new-5.14.0-999.el9.x86_64.conf"
    cmdline = (root / "etc/kernel/cmdline").read_text()
    grow(root, {new: f"title new\noptions {cmdline}"})
    rollback(root)
    assert called(calls)[-1] == "grubby --update-kernel=ALL --remove-args=intel_iommu iommu"
    assert "iommu" not in (root / new).read_text()
    assert "iommu" not in (root / "etc/default/grub").read_text()


def test_el_gives_former_values_back(tmp_path: Path, calls: Path) -> None:
    """What an argument was before comes back, also where grubby has to do it."""
    root = grow(tmp_path / "root", el_kernelopts().tree)
    prepare(root)
    grow(
        root, {"boot/grub2/grubenv": (root / "boot/grub2/grubenv").read_text() + "boot_success=0\n"}
    )
    rollback(root)
    assert called(calls)[-1] == (
        "grubby --update-kernel=ALL --remove-args=iommu --args=intel_iommu=off"
    )
    assert next_words(root)[-1] == "intel_iommu=off"


def test_environment_block_on_the_efi_partition(tmp_path: Path, calls: Path) -> None:
    """A block that is a link to the EFI partition is changed there and put back there."""
    tree = dict(el_kernelopts().tree)
    tree["boot/efi/EFI/rocky/grubenv"] = tree["boot/grub2/grubenv"]
    tree["boot/grub2/grubenv"] = "-> ../efi/EFI/rocky/grubenv"
    root = grow(tmp_path / "root", tree)
    before = snapshot(root)
    prepare(root)
    assert "iommu=pt" in (root / "boot/efi/EFI/rocky/grubenv").read_text()
    assert prepare(root).journal is None
    rollback(root)
    assert snapshot(root) == before


def test_environment_block_is_left(tmp_path: Path, calls: Path) -> None:
    """Where no entry uses it, GRUB's environment block, which every boot writes, is no output."""
    one = el("centos", "9", "5.14.0-527.el9.x86_64")
    root = grow(tmp_path / "root", one.tree)
    before = snapshot(root)
    prepare(root)
    booted = str(one.tree["boot/grub2/grubenv"]).replace("boot_success=1", "boot_success=0")
    grow(root, {"boot/grub2/grubenv": booted})
    rollback(root)
    grow(root, {"boot/grub2/grubenv": str(one.tree["boot/grub2/grubenv"])})
    assert snapshot(root) == before


def test_cmdline_from_the_running_kernel(tmp_path: Path, calls: Path) -> None:
    """Without /etc/kernel/cmdline it is written from what runs, without the loader's own words."""
    root = grow(tmp_path / "root", debian_13_systemd_boot().tree)
    prepare(root)
    text = (root / "etc/kernel/cmdline").read_text()
    assert text.startswith("root=UUID=1 ro quiet systemd.machine_id=")
    assert text.endswith(" intel_iommu=on iommu=pt\n")
    (entry,) = (root / "boot/efi/loader/entries").iterdir()
    assert "iommu=pt" in entry.read_text()


def test_loader_that_booted(tmp_path: Path) -> None:
    """Of two loaders the one is taken that says it booted the host."""
    tree = {**everything()[1].tree, **debian_13_systemd_boot().tree}
    root = grow(tmp_path, tree)
    assert inspect(root).boot.loaders == ("grub", "systemd-boot")
    info = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    grow(root, {info: b"\x06\x00\x00\x00" + "systemd-boot 257.9".encode("utf-16-le") + b"\x00\x00"})
    assert inspect(root).boot.loaders == ("systemd-boot", "grub")


def test_el_without_entries(tmp_path: Path, calls: Path) -> None:
    """With GRUB_ENABLE_BLSCFG=false EL is changed through GRUB's settings, whatever entries lie."""
    one = el("rocky", "9.5", "5.14.0-503.11.1.el9_5.x86_64")
    text = str(one.tree["etc/default/grub"]).replace("BLSCFG=true", "BLSCFG=false")
    root = grow(tmp_path / "root", {**one.tree, "etc/default/grub": text})
    before = snapshot(root)
    prepare(root)
    assert called(calls)[-1] == "grub2-mkconfig -o /boot/grub2/grub.cfg"
    assert prepare(root).journal is None
    rollback(root)
    assert snapshot(root) == before


def test_no_entries_to_read(tmp_path: Path) -> None:
    """Where the entries cannot be read, that is the error."""
    one = el("rocky", "9.5", "5.14.0-503.11.1.el9_5.x86_64")
    tree = {path: leaf for path, leaf in one.tree.items() if "/entries/" not in path}
    host = inspect(grow(tmp_path, tree))
    assert (host.boot.loader, host.boot.next_command_line) == ("grubby", None)
    with pytest.raises(Exception, match="cannot read the boot loader entries"):
        plan(host, resolve(host, [], all_cards=True))
    assert journal.entries(tmp_path) == ()


@pytest.mark.parametrize(
    ("uefi", "links", "menu"),
    [
        (True, {"etc/grub2-efi.cfg": "-> ../boot/efi/EFI/centos/grub.cfg"}, "efi/EFI/centos"),
        (False, {"etc/grub2.cfg": "-> ../boot/grub2/grub.cfg"}, "grub2"),
        (True, {"etc/grub2-efi.cfg": "-> ../boot/grub2/grub.cfg"}, "grub2"),
        (True, {"boot/efi/EFI/centos/grub.cfg": "a stub"}, "grub2"),
        (
            True,
            {"boot/efi/EFI/centos/grub.cfg": "old", "boot/grub2/grub.cfg": None},
            "efi/EFI/centos",
        ),
    ],
)
def test_el_menu(
    tmp_path: Path, calls: Path, uefi: bool, links: dict[str, str | None], menu: str
) -> None:
    """Without boot loader entries the menu is made where GRUB reads it, and put back there."""
    one = el("centos", "7", "3.10.0-1160.el7.x86_64")
    tree = {path: leaf for path, leaf in one.tree.items() if "/entries/" not in path}
    tree["etc/default/grub"] = (
        'GRUB_CMDLINE_LINUX="crashkernel=auto $([ -x /x ] && /x || :) rhgb quiet"\n'
    )
    tree.update({"boot/efi/EFI/centos/grubx64.efi": "", "sys/firmware/": ""})
    tree.update({"sys/firmware/efi/": ""} if uefi else {})
    tree = {path: leaf for path, leaf in {**tree, **links}.items() if leaf is not None}
    root = grow(tmp_path / "root", tree)
    before = snapshot(root)
    prepare(root)
    assert called(calls)[-1] == f"grub2-mkconfig -o /boot/{menu}/grub.cfg"
    assert "quiet  intel_iommu=on iommu=pt\n" in (root / f"boot/{menu}/grub.cfg").read_text()
    assert prepare(root).journal is None
    rollback(root)
    assert snapshot(root) == before


def test_menu_without_the_arguments(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A menu in which no kernel gets the arguments is an error, not a success."""
    root = grow(tmp_path / "root", everything()[1].tree)
    before = snapshot(root)
    tool = '#!/bin/sh\n[ $2 != update-grub ] || echo "linux /vmlinuz ro -- iommu=pt" > "$1$MENU"\n'
    programs = grow(tmp_path / "other", {"chroot": (tool, 0o755)})
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("MENU", "/boot/grub/grub.cfg")
    (root / "boot/grub/grub.cfg").chmod(0o644)
    with pytest.raises(
        WholecardError, match="made a menu without intel_iommu=on iommu=pt"
    ) as error:
        prepare(root)
    assert "ro -- iommu=pt" in error.value.details
    rollback(root)
    (root / "boot/grub/grub.cfg").chmod(0o444)
    assert snapshot(root) == before


@pytest.mark.parametrize("hook", ["proxmox-boot-sync", "flash-kernel", "zz-our-own"])
@pytest.mark.parametrize("fails", [False, True])
def test_copies_of_hooks(tmp_path: Path, calls: Path, hook: str, fails: bool) -> None:
    """What a hook copied beyond the tree is copied again at rollback, from the former files."""
    one = everything()[1]
    hooks = "etc/initramfs/post-update.d"
    tree = {**one.tree, f"{hooks}/{hook}": ("#!/bin/sh\n", 0o755), "etc/kernel/cmdline": "ro\n"}
    root = grow(tmp_path / "root", tree)
    before = snapshot(root)
    copy = Path(f"{calls}.copy")
    if fails:
        # The hook has run, and the tool after it does not.
        grow(root, {"etc/default/grub": "exit 7\n"})
        with pytest.raises(WholecardError):
            prepare(root)
    else:
        prepare(root)
    assert "0000:01:00.0" in copy.read_text()
    rollback(root)
    assert copy.read_text() == "old imagero\n"
    grow(root, {"etc/default/grub": str(one.tree["etc/default/grub"])})
    assert snapshot(root) == before


def test_hook_on_the_efi_partition(tmp_path: Path, calls: Path) -> None:
    """A copy on a mounted EFI partition is put back, also where the run ended after the hook."""
    root = grow(tmp_path / "root", pop().tree)
    before = snapshot(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tool = (
            "#!/bin/sh\n[ $2 = update-initramfs ] || exit 7\n"
            'echo new > "$1/boot/efi/EFI/Pop_OS-1/initrd.img"\n'
        )
        programs = grow(tmp_path / "other", {"chroot": (tool, 0o755)})
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        with pytest.raises(WholecardError, match="failed with status 7"):
            prepare(root)
    assert snapshot(root) != before
    rollback(root)
    assert snapshot(root) == before


def test_kernelstub_beside_grub(tmp_path: Path) -> None:
    """kernelstub owns nothing where GRUB starts the host, as Pop!_OS with BIOS does."""
    tree = {path: leaf for path, leaf in pop().tree.items() if "LoaderInfo" not in path}
    tree.update({"etc/default/grub": "", "usr/sbin/update-grub": ""})
    assert inspect(grow(tmp_path, tree)).boot.loader == "grub"


def test_entry_without_the_arguments(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that does not get the arguments is an error too: kernel-install may do nothing."""
    root = grow(tmp_path / "root", debian_13_systemd_boot().tree)
    programs = grow(tmp_path / "other", {"chroot": ("#!/bin/sh\n", 0o755)})
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(WholecardError, match="kernel-install made a menu without intel_iommu=on"):
        prepare(root)


@pytest.mark.parametrize("one", [everything()[1], leap()], ids=lambda one: one.name)
def test_next_boot_from_the_menu(tmp_path: Path, calls: Path, one: Distribution) -> None:
    """Where GRUB's settings are more than plain values, the menu tells what the next boot gets."""
    text = 'GRUB_CMDLINE_LINUX_DEFAULT="$(echo quiet)"\n'
    root = grow(tmp_path / "root", {**one.tree, "etc/default/grub": text})
    assert inspect(root).boot.next_command_line is None
    prepare(root)
    assert next_words(root) == ["ro", "quiet", "intel_iommu=on", "iommu=pt"]
    saved = tmp_path / "saved.tar.gz"
    save(root, saved)
    with open_snapshot(saved) as copy:
        assert inspect(copy).boot == inspect(root).boot


def test_copy_of_another_image(tmp_path: Path, calls: Path) -> None:
    """A copy on the EFI partition that somebody else made since is theirs, and stays."""
    root = grow(tmp_path / "root", pop().tree)
    prepare(root)
    copies = "boot/efi/EFI/Pop_OS-1"
    grow(root, {f"{copies}/initrd.img-previous": "of another kernel"})
    rollback(root)
    assert (root / copies / "initrd.img-previous").read_text() == "of another kernel"


def test_half_made_menu(tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grub.cfg.new that grub-mkconfig left when it was killed is removed at rollback."""
    root = grow(tmp_path / "root", everything()[1].tree)
    before = snapshot(root)
    tool = '#!/bin/sh\n[ $2 = update-grub ] || exit 0\necho half > "$1$MENU.new"\nexit 7\n'
    monkeypatch.setenv("MENU", "/boot/grub/grub.cfg")
    programs = grow(tmp_path / "other", {"chroot": (tool, 0o755)})
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(WholecardError, match="failed with status 7"):
        prepare(root)
    assert (root / "boot/grub/grub.cfg.new").exists()
    rollback(root)
    assert snapshot(root) == before
