"""The service as a unit of systemd."""

from __future__ import annotations

_UNIT = """\
# /etc/systemd/system/wholecard-handover.service
[Unit]
Description=Wholecard: cards between two tenants
Documentation=man:systemd.exec(5)
After=network-online.target
Wants=network-online.target

[Service]
User=wholecard
StateDirectory=wholecard/handover
# A file of mode 0600: [rabbitmq] url = amqp://USER:PASSWORD@HOST:5672/VHOST
LoadCredential=rabbit.ini:/etc/wholecard/rabbit.ini
ExecStart={program} handover --cloud {cloud} --rabbit %d/rabbit.ini \\
    --state /var/lib/wholecard/handover
Restart=always
RestartSec=10
# A cleaning that is interrupted is done again.
TimeoutStopSec=30
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def unit_text(cloud: str, program: str) -> str:
    """The unit's file; `program` is the path of `wholecard`."""
    return _UNIT.format(cloud=cloud, program=program)
