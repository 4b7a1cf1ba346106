"""Module parameters and module names, as command lines and other people's settings have them.

Sources: linux, Documentation/admin-guide/kernel-parameters.rst (quotes, `-` and `_` are the same in
names); kmod, modprobe.d(5); systemd, modules-load.d(5); dracut.conf(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wholecard.host.config_files import MODPROBE, FileText, Settings
from wholecard.pci.address import parse_numbers
from wholecard.pci.attributes import driver_name
from wholecard.pci.vfio_drivers import module_of

_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_NEW_ID = re.compile(
    r"(?:0x)?([0-9a-f]{4})[\s:\\]+(?:0x)?([0-9a-f]{4})\b.*/drivers/([\w-]+)/new_id", re.IGNORECASE
)
_DRACUT_ARGUMENTS = re.compile(r"^\s*kernel_cmdline\+?=(.*)$", re.MULTILINE)
_DRACUT_DRIVERS = re.compile(r"^\s*(?:add|force)_drivers\+?=(.*)$", re.MULTILINE)
_DRIVERCTL = "/etc/driverctl.d/pci-"
_LISTS = frozenset({"/etc/modules", "/etc/initramfs-tools/modules"})
_TRUE = frozenset({"", "1", "y", "Y", "on", "true"})


def kernel_arguments(command_line: str) -> tuple[tuple[str, str], ...]:
    """Names and values in order; names with `_` for `-`, values unquoted, empty without `=`."""
    arguments = []
    for argument in _ARGUMENT.findall(command_line):
        name, _, value = argument.replace('"', "").partition("=")
        arguments.append((module_of(name), value))
    return tuple(arguments)


def is_true(value: str) -> bool:
    """Whether a boolean parameter is set by this value; a bare name sets it."""
    return value in _TRUE


def module_options(settings: Settings, module: str) -> Iterator[tuple[str, str, str]]:
    """`(path, name, value)` of each option that modprobe.d files give to `module`."""
    for path, words in _modprobe_lines(settings):
        if len(words) > 2 and words[0] == "options" and module_of(words[1]) == module:
            for word in words[2:]:
                name, _, value = word.replace('"', "").partition("=")
                yield path, module_of(name), value


def listed_options(settings: Settings, module: str) -> Iterator[tuple[str, str, str]]:
    """`(path, name, value)` of each option behind a module in a list of modules.

    initramfs-tools passes them on (initramfs.conf(5)); systemd-modules-load does not.
    """
    for entry in settings.foreign:
        if entry.path in _LISTS or entry.path.startswith("/etc/modules-load.d/"):
            for line in _uncommented(entry.text or "").splitlines():
                words = line.split()
                if words and module_of(words[0]) == module:
                    for word in words[1:]:
                        name, _, value = word.replace('"', "").partition("=")
                        yield entry.path, module_of(name), value


def dracut_arguments(settings: Settings) -> Iterator[tuple[str, str]]:
    """`(path, arguments)` that dracut puts into its images beside the loader's command line."""
    for entry in settings.foreign:
        if entry.path.startswith("/etc/dracut.conf"):
            for text in _DRACUT_ARGUMENTS.findall(_uncommented(entry.text or "")):
                yield entry.path, text.strip().strip("\"'")


def new_ids(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """`(path, driver, ids)` that a script or unit writes to a driver's `new_id`."""
    for entry in settings.foreign:
        for vendor, device, driver in _NEW_ID.findall(_uncommented(entry.text or "")):
            yield entry.path, driver, f"{vendor}:{device}".lower()


def driverctl_overrides(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """`(path, address, driver)` of each function that driverctl binds at boot.

    A file `pci-ADDRESS` has the driver's name; udev starts `driverctl load-override` for a device
    with such a file that is not empty. `none` leaves it without a driver. Source: driverctl 0.111,
    functions `save_override` and `set_override`, and its 05-driverctl.rules.
    """
    for entry in settings.foreign:
        address = entry.path.removeprefix(_DRIVERCTL)
        driver = (entry.text or "").strip()
        if address != entry.path and parse_numbers(address) and driver_name(driver):
            yield entry.path, address, driver


def install_lines(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """`(path, module, command)` of each `install` line of modprobe.d."""
    for path, words in _modprobe_lines(settings):
        if len(words) > 2 and words[0] == "install":
            yield path, module_of(words[1]), " ".join(words[2:])


def has_softdep(settings: Settings, module: str) -> bool:
    """Whether modprobe loads vfio-pci before `module`.

    A blacklist does not do that: it stops loading by alias, not of a module that is named.
    """
    for _, words in _modprobe_lines(settings):
        if len(words) < 2 or words[0] != "softdep" or module_of(words[1]) != module:
            continue
        before = words[words.index("pre:") + 1 :] if "pre:" in words else []
        if any(module_of(word) == "vfio_pci" for word in before):
            return True
    return False


def initramfs_modules(settings: Settings) -> Iterator[tuple[str, str]]:
    """`(path, module)` of each module that a setting puts into the initramfs by name."""
    for entry in settings.foreign:
        if entry.path == "/etc/initramfs-tools/modules":
            yield from _listed(entry)
        elif entry.path.startswith("/etc/dracut.conf"):
            for drivers in _DRACUT_DRIVERS.findall(_uncommented(entry.text or "")):
                for word in re.findall(r"[\w-]+", drivers):
                    yield entry.path, module_of(word)


def loaded_modules(settings: Settings) -> Iterator[tuple[str, str]]:
    """`(path, module)` of each module that is loaded at boot by name."""
    for entry in settings.foreign:
        if entry.path == "/etc/modules" or entry.path.startswith("/etc/modules-load.d/"):
            yield from _listed(entry)


def _modprobe_lines(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    ours = settings.file(MODPROBE)
    for entry in (*settings.foreign, ours):
        if entry.path.startswith("/etc/modprobe.d/"):
            text = _uncommented((entry.text or "").replace("\\\n", " "))
            yield from ((entry.path, line.split()) for line in text.splitlines())


def _listed(entry: FileText) -> Iterator[tuple[str, str]]:
    for line in _uncommented(entry.text or "").splitlines():
        words = line.split()
        if words:
            yield entry.path, module_of(words[0])


def _uncommented(text: str) -> str:
    return re.sub(r"(^|(?<=\s))[#;].*$", "", text, flags=re.MULTILINE)
