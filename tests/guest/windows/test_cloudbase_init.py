"""cloudbase-init.conf as cloudbase-init's own options read it, and who has the serial port."""

from __future__ import annotations

import configparser
import importlib
import os
import pty
from pathlib import Path

import pytest
from cloudbaseinit import conf as cloudbaseinit_conf
from cloudbaseinit.utils.log import SerialPortHandler

from wholecard.guest.windows.cloudbase_init import cloudbase_init_conf

CONF = cloudbaseinit_conf.CONF


@pytest.mark.parametrize(("to_console", "port"), [(False, ""), (True, "COM1,115200,N,8")])
def test_its_settings(tmp_path: Path, to_console: bool, port: str) -> None:
    """Every key is an option of cloudbase-init, and has the value that was meant."""
    file = tmp_path / "cloudbase-init.conf"
    file.write_text(cloudbase_init_conf(to_console), newline="")
    written = configparser.RawConfigParser()
    written.read(file)
    try:
        CONF([], project="cloudbaseinit", default_config_files=[str(file)])
        # oslo.log has its own three.
        own = [key for key in written.defaults() if key not in ("logdir", "logfile", "debug")]
        assert [key for key in own if key not in CONF] == []
        drives = [key for key in written["config_drive"] if key not in written.defaults()]
        assert drives == ["cdrom", "vfat", "raw_hdd"]
        assert all(CONF.config_drive[key] for key in drives)
        assert (CONF.logging_serial_port_settings or "") == port
        assert CONF.metadata_services[0].endswith("configdrive.ConfigDriveService")
        assert CONF.plugins[-1].endswith("userdata.UserDataPlugin")
        assert CONF.allow_reboot
    finally:
        CONF.reset()


def test_its_plugins_exist(tmp_path: Path) -> None:
    """The services and plugins are cloudbase-init's; those of Windows are not imported here."""
    text = cloudbase_init_conf()
    names = [name for key in ("metadata_services", "plugins")
             for name in text.partition(f"{key}=")[2].partition("\r\n")[0].split(",")]  # fmt: skip
    assert len(names) == 10
    root = Path(str(importlib.import_module("cloudbaseinit").__file__)).parent
    for name in names:
        module, _, kind = name.rpartition(".")
        source = root.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text()
        assert f"class {kind}(" in source


def test_its_log_keeps_the_port_open() -> None:
    """A log on the serial port is why scripts could not report there: it never closes the port."""
    control, terminal = pty.openpty()
    try:
        CONF.set_override("logging_serial_port_settings", f"{os.ttyname(terminal)},115200,N,8")
        handler = SerialPortHandler()
        try:
            assert handler.stream.isOpen()
            handler.flush()
            assert handler.stream.isOpen()
        finally:
            handler.close()
    finally:
        CONF.clear_override("logging_serial_port_settings")
        os.close(control)
        os.close(terminal)
