"""The collection's archive: the same bytes each time, whole, and documented as it is."""

from __future__ import annotations

import base64
import json
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from build_collection import AGENT, COLLECTION, build_collection, collection_files

from support.ansible_core import BIN, Ansible
from support.wholecard_installed import EPOCH
from wholecard import __version__
from wholecard.host.agent.zipapp import agent_bytes
from wholecard.nova.render.layouts.layout import LAYOUTS

pytestmark = pytest.mark.timeout(600)

MODULES = ("host", "host_check", "host_facts", "nova_config")
# Prints the argument_spec of each module, which only AnsibleModule is told.
SPECS = """
import importlib, json, sys
from ansible.module_utils import basic

class Told(Exception):
    pass

def told(self, argument_spec, **_):
    raise Told(argument_spec)

basic.AnsibleModule.__init__ = told
specs = {}
for name in sys.argv[1:]:
    module = importlib.import_module(f"ansible_collections.wholecard.gpu.plugins.modules.{name}")
    try:
        module.main()
    except Told as error:
        specs[name] = error.args[0]
print(json.dumps(specs))
"""


@pytest.fixture(scope="module")
def documented(ansible: Ansible) -> dict[str, Any]:
    """What `ansible-doc` reads of each module."""
    names = [f"wholecard.gpu.{name}" for name in MODULES]
    answer: dict[str, Any] = json.loads(ansible.run("ansible-doc", "--json", *names))
    return {name.rpartition(".")[2]: text for name, text in answer.items()}


def test_same_bytes(archive: Path, tmp_path: Path) -> None:
    """The same sources give the same archive, named as ansible-galaxy names it."""
    assert build_collection(tmp_path, EPOCH).read_bytes() == archive.read_bytes()
    assert archive.name == f"wholecard-gpu-{__version__}.tar.gz"


def test_as_ansible_galaxy_builds_it(archive: Path, ansible: Ansible, tmp_path: Path) -> None:
    """`ansible-galaxy collection build` of the same files has the same members and manifests."""
    for name, content in collection_files().items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(content)
    (tmp_path / "source/galaxy.yml").write_bytes((COLLECTION / "galaxy.yml").read_bytes())
    ansible.run("ansible-galaxy", "collection", "build", tmp_path / "source", "--output-path",
                tmp_path)  # fmt: skip
    ours, theirs = _read(archive), _read(tmp_path / archive.name)
    assert ours == theirs


def test_carries_the_agent(ansible: Ansible) -> None:
    """The program in the installed collection is the release's own."""
    module = ansible.collections / "ansible_collections/wholecard/gpu" / AGENT
    assert base64.b64decode(runpy.run_path(str(module))["AGENT"]) == agent_bytes()


def test_galaxy_yml() -> None:
    """The collection has the version and the licence of everything else."""
    info = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    assert (info["version"], info["license"]) == (__version__, ["Apache-2.0"])
    assert (COLLECTION / "LICENSE").read_bytes() == (COLLECTION.parents[1] / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", MODULES)
def test_documented(documented: dict[str, Any], name: str) -> None:
    """ansible-doc shows what a module does, an example of it and what it returns."""
    text = documented[name]
    assert text["doc"]["short_description"]
    assert text["doc"]["attributes"]["check_mode"]["support"] == "full"
    assert f"wholecard.gpu.{name}:" in text["examples"]
    assert all(each["description"] for each in text["return"].values())


def test_documented_options(documented: dict[str, Any], ansible: Ansible) -> None:
    """The options of the documentation are those of the code, with types, defaults and choices."""
    done = subprocess.run(
        [sys.executable, "-c", SPECS, *MODULES], check=True, capture_output=True, text=True,
        env={"PYTHONPATH": str(ansible.collections), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    specs = json.loads(done.stdout)
    for name in MODULES:
        options = documented[name]["doc"]["options"]
        assert _facts(options) == _facts(specs[name]), name


def test_layouts(documented: dict[str, Any]) -> None:
    """nova_config has the layouts of `nova render`."""
    assert documented["nova_config"]["doc"]["options"]["layout"]["choices"] == list(LAYOUTS)


def test_playbooks(ansible: Ansible, tmp_path: Path) -> None:
    """The collection's playbooks are read without an error, and take the group from an importer."""
    names = [f"wholecard.gpu.{path.stem}" for path in sorted((COLLECTION / "playbooks").iterdir())]
    assert len(names) == 3
    mine = tmp_path / "mine.yml"
    plays = [{"ansible.builtin.import_playbook": name, "vars": {"gpu_hosts": "some"}}
             for name in names]  # fmt: skip
    mine.write_text(yaml.safe_dump(plays))
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("[some]\ngpu-07\n[others]\ngpu-08\n")
    said = ansible.run("ansible-playbook", "--list-hosts", "-i", inventory, mine)
    assert said.count("gpu-07") == 3
    assert "gpu-08" not in said


def test_nothing_is_gpl() -> None:
    """Of Ansible the collection imports what is under BSD licences, and no plugin's classes."""
    texts = [content.decode() for name, content in collection_files().items()
             if name.endswith(".py")]  # fmt: skip
    lines = [line.strip() for text in texts for line in text.splitlines()]
    imports = {line for line in lines if line.startswith(("from ansible.", "import ansible"))}
    assert imports == {"from ansible.module_utils.basic import AnsibleModule"}
    basic = next(BIN.parent.glob("lib/python3*/site-packages/ansible/module_utils/basic.py"))
    assert "BSD-2-Clause" in basic.read_text()[:400]


def _read(archive: Path) -> dict[str, Any]:
    """Members by name, with their modes; manifests as data, without the order of files."""
    read: dict[str, Any] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            file = packed.extractfile(member)
            content = file.read() if file else b""
            read[member.name] = (member.mode, member.uid, member.isdir(), content)
    read["MANIFEST.json"] = json.loads(read["MANIFEST.json"][-1])
    del read["MANIFEST.json"]["file_manifest_file"]["chksum_sha256"]
    files = json.loads(read["FILES.json"][-1])["files"]
    read["FILES.json"] = {file["name"]: file for file in files}
    return read


def _facts(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (
            option.get("type", "str"),
            option.get("elements"),
            option.get("default"),
            option.get("choices"),
            option.get("required", False),
        )
        for name, option in options.items()
    }
