"""How the system's own ssh, and so `wholecard --ssh`, reaches the nodes of a lab."""

from __future__ import annotations

from pathlib import Path

from wholecard.lab.lab import Lab


def ssh_config(lab: Lab, folder: Path) -> Path:
    """A configuration file with every node: the lab's key, the nodes' key, their ports."""
    keys = lab.parts.root / "root/.ssh"
    key = folder / "key"
    key.write_bytes((keys / "lab").read_bytes())
    key.chmod(0o600)
    config = folder / "config"
    config.write_text(
        "".join(
            f"Host {spec.name}\nHostName 127.0.0.1\nPort {lab.settings.ports[spec.ssh_port]}\n"
            f"User root\nIdentityFile {key}\nIdentitiesOnly yes\nHostKeyAlias {spec.name}\n"
            f"UserKnownHostsFile {keys / 'known_hosts'}\n"
            for spec in lab.nodes
        )
    )
    return config
