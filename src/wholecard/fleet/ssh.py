"""The system's ssh: how it is called, and what the remote end does first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# See ssh_config(5). ssh asks no questions and does not hang, and the host gets no access to this
# machine. Keys, ports, jump hosts and known hosts are the operator's own configuration.
_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    # An existing shared connection is used, but none is left behind.
    "ControlMaster=no",
    # The host's banner is not part of the output.
    "LogLevel=ERROR",
)

# What the script below ends with when the agent did not start; the agent itself ends with 0 to 3.
NO_AGENT, NO_PYTHON, NO_SUDO, NO_ROOM = 90, 91, 92, 93
# ssh's own.
NO_CONNECTION = 255

# Run by `sh -c` with: the agent's digest, its name, "send" or "", "sudo" or "", and the command's
# words. One line and no `!`, for a login shell of csh's kind reads it before sh does. The name is
# written to both outputs just before the agent starts: what a login shell prints comes before it,
# and a status without it is not the agent's.
SCRIPT = " ".join((
    "digest=$1; name=$2; send=$3; sudo=$4; shift 4; as=;",
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH;",
    'folder=${HOME:?}/.cache/wholecard; agent=$folder/$name.pyz;',
    'sum() { sha256sum 2> /dev/null < "$1" | cut -c -64; };',
    "for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9",
    "/usr/libexec/platform-python; do",
    'if python=$(command -v "$candidate") &&',
    '"$python" -I -c "import sys; sys.exit(sys.version_info < (3, 9))" 2> /dev/null;',
    f'then break; fi; python=; done; [ -n "$python" ] || exit {NO_PYTHON};',
    'if [ "$sudo" = sudo ] && [ "$(id -u)" -ne 0 ]; then',
    f'sudo -n -- "$python" -I -c pass || exit {NO_SUDO}; as="sudo -n --"; fi;',
    'if [ "$send" = send ]; then ( umask 077; new=;',
    'mkdir -p "$folder" && new=$(mktemp "$folder/.wholecard-host-XXXXXX") && cat > "$new" &&',
    '[ "$(sum "$new")" = "$digest" ] && chmod 700 "$new" && mv -f "$new" "$agent" ||',
    f'{{ rm -f "$new"; exit {NO_ROOM}; }} ) || exit {NO_ROOM};',
    # Old agents go; one that another version of Wholecard runs at this moment was used today.
    'find "$folder" -maxdepth 1 -type f -name "*wholecard-host-*" -mtime +0 -exec rm -f {} +; fi;',
    f'[ "$(sum "$agent")" = "$digest" ] || exit {NO_AGENT}; touch -c "$agent";',
    'echo "$name"; echo "$name" >&2;',
    'exec $as "$python" -I -X utf8 "$agent" "$@"',
))  # fmt: skip


@dataclass(frozen=True)
class Ssh:
    """How hosts are reached: ssh's own configuration file, and whether the agent runs by sudo.

    `columns` is the width of the terminal on which a person reads the answer, None for none.
    """

    config: Path | None = None
    sudo: bool = False
    columns: int | None = None

    def argv(
        self, host: str, digest: str, name: str, words: Sequence[str], send: bool
    ) -> list[str]:
        """ssh's argument list for the agent's command `words` on `host`.

        ssh hands the host's login shell one string, so every word is quoted for a shell.
        """
        arguments = (digest, name, "send" if send else "", "sudo" if self.sudo else "")
        # The agent's fixes then name the command that can be run from here.
        called = ["--called-as", f"wholecard --on {host}"]
        if self.columns is not None:
            called += ["--read-at-columns", str(self.columns)]
        command = shlex.join(["sh", "-c", SCRIPT, "wholecard", *arguments, *called, *words])
        return _called(self, host, command)


def program_argv(ssh: Ssh, host: str, words: Sequence[str]) -> list[str]:
    """ssh's argument list for another program's command on `host`, without the agent."""
    return _called(ssh, host, shlex.join(words))


def _called(ssh: Ssh, host: str, command: str) -> list[str]:
    options = [word for option in _OPTIONS for word in ("-o", option)]
    config = ["-F", str(ssh.config)] if ssh.config else []
    return ["ssh", *config, "-T", *options, "--", host, command]
