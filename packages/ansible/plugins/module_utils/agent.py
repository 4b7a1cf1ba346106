"""wholecard-host on the managed host: called with argument lists, its answers read as JSON."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

# Written by scripts/release/build_collection.py: the zipapp of the same release.
from ansible_collections.wholecard.gpu.plugins.module_utils.agent_archive import AGENT

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ROOT_OPTION: dict[str, Any] = {"root": {"type": "path", "default": "/"}}
CARD_OPTIONS: dict[str, Any] = {
    "cards": {"type": "list", "elements": "str", "default": []},
    "all_cards": {"type": "bool", "default": False},
    "desired": {"type": "dict"},
}
ERROR = "error"


class Agent:
    """The agent for one run of a module; its file is gone when the module ends."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._path = self._file("wholecard-host.pyz", base64.b64decode(AGENT))

    def ask(self, *words: str) -> dict[str, Any]:
        """What the command answers in JSON, whether it has findings or not.

        Ends the module, with the agent's own error, where the agent refuses or fails.
        """
        status, answer, errors = self._run(*words, "--json")
        try:
            data = json.loads(answer)
        except ValueError:
            data = None
        if status not in (0, 1) or not isinstance(data, dict) or ERROR in data:
            self._fail(words, status, data if isinstance(data, dict) else {}, errors)
        return data

    def text(self, *words: str) -> str:
        """What the command prints for a person; passwords are not in it."""
        _, answer, _ = self._run(*words)
        return answer.rstrip("\n") + "\n"

    def card_words(self) -> list[str]:
        """The options of check, plan and apply that name the cards."""
        asked = self._module.params
        words = [word for card in asked["cards"] for word in ("--card", card)]
        if asked["all_cards"]:
            words.append("--all-cards")
        if asked["desired"] is not None:
            desired = json.dumps(asked["desired"]).encode()
            words += ["--desired", self._file("desired.json", desired)]
        return words

    def _run(self, *words: str) -> tuple[int, str, str]:
        # The interpreter that Ansible chose for this host, see ansible_python_interpreter.
        argv = [sys.executable, "-I", "-X", "utf8", self._path, *words]
        argv += ["--root", self._module.params["root"]]
        # Tools such as update-grub are not on the path of every user.
        path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"
        environment = {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
        status, answer, errors = self._module.run_command(
            argv, environ_update=environment, expand_user_and_vars=False
        )
        return status, answer, errors

    def _file(self, name: str, content: bytes) -> str:
        # Ansible makes this folder for its owner alone, and removes it when the module ends.
        path = os.path.join(self._module.tmpdir, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def _fail(
        self, words: Sequence[str], status: int, data: dict[str, Any], errors: str
    ) -> NoReturn:
        findings = data.get("findings", [])
        error = data.get(ERROR)
        if error is None:
            lines = [f"wholecard-host {words[0]} ended with {status}", errors.strip()]
        else:
            lines = [error["brief"], error["details"], error["resolution"]]
        if not findings and words[0] == "plan":
            findings = self._causes()
            lines += [findings_text("", findings)] if findings else []
        self._module.fail_json(
            msg="\n".join(line.strip() for line in lines if line),
            findings=findings,
            rules=rules(findings),
        )
        raise AssertionError  # fail_json ends the process

    def _causes(self) -> list[dict[str, str]]:
        """The errors that check finds: a plan that fails names no rule."""
        _, answer, _ = self._run("check", *self.card_words(), "--json")
        try:
            findings = json.loads(answer).get("findings", [])
        except ValueError:
            return []
        return [finding for finding in findings if finding["severity"] == "error"]


def rules(findings: Sequence[dict[str, str]]) -> list[str]:
    """The codes of the findings, each once."""
    return sorted({finding["rule"] for finding in findings})


def findings_text(brief: str, findings: Sequence[dict[str, str]]) -> str:
    """A line that says what is wrong, and for each finding its code, its message and its fix."""
    lines = [brief] if brief else []
    for finding in findings:
        lines.append(f"{finding['rule']} {finding['subject']}: {finding['message']}")
        if finding["fix"]:
            lines.append(f"  Fix: {finding['fix']}")
    return "\n".join(lines)
