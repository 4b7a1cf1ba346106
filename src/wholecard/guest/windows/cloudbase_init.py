"""cloudbase-init.conf for an image whose servers have cards."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

# cloudbase-init 1.1.9: cloudbaseinit/conf/default.py; the plugins in the order in which they run.
_PLUGINS = (
    "common.mtu.MTUPlugin",
    "common.sethostname.SetHostNamePlugin",
    "windows.createuser.CreateUserPlugin",
    "common.networkconfig.NetworkConfigPlugin",
    "common.setuserpassword.SetUserPasswordPlugin",
    "common.sshpublickeys.SetUserSSHPublicKeysPlugin",
    "windows.extendvolumes.ExtendVolumesPlugin",
    "common.userdata.UserDataPlugin",
)
_SERVICES = ("configdrive.ConfigDriveService", "httpservice.HttpService")
# As which kinds of disk it looks for a config drive; nova has a CD-ROM by default, or vfat.
_DRIVES = ("cdrom", "vfat", "raw_hdd")
_SETTINGS = MappingProxyType(
    {
        "metadata_services": tuple(f"cloudbaseinit.metadata.services.{one}" for one in _SERVICES),
        "plugins": tuple(f"cloudbaseinit.plugins.{one}" for one in _PLUGINS),
        "allow_reboot": ("true",),
        "logdir": (r"C:\Program Files\Cloudbase Solutions\Cloudbase-Init\log",),
        "logfile": ("cloudbase-init.log",),
        "debug": ("true",),
    }
)
_WITHOUT_REPORT = (
    "# Its log goes to the console: nova's console log then has it, and the report of",
    "# `wholecard prove` is missing there, for cloudbase-init keeps COM1 open while scripts run.",
    "logging_serial_port_settings=COM1,115200,N,8",
)
_WITH_REPORT = (
    "# Not COM1: cloudbase-init would keep it open while scripts run, and these could not report",
    "# over it. Its own log is in the file below.",
    "logging_serial_port_settings=",
)


def cloudbase_init_conf(log_to_console: bool = False) -> str:
    """The file's text, with the lines of Windows.

    The config drive comes first, which needs no network. `log_to_console`: cloudbase-init's own log
    goes to the serial port, which scripts then cannot open (cloudbaseinit/utils/log.py,
    SerialPortHandler, opens it once; pyserial, serial/serialwin32.py, "exclusive access").
    """
    lines = ["[DEFAULT]", *(_WITHOUT_REPORT if log_to_console else _WITH_REPORT)]
    lines += [_line(key, values) for key, values in _SETTINGS.items()]
    lines += ["[config_drive]", *(_line(key, ("true",)) for key in _DRIVES)]
    return "".join(f"{line}\r\n" for line in lines)


def _line(key: str, values: Iterable[str]) -> str:
    return f"{key}={','.join(values)}"
