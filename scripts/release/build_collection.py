"""The Ansible collection wholecard.gpu, with the agent of the same release in it.

Its archive has the members and manifests that `ansible-galaxy collection build` writes
(ansible-core, galaxy/collection/__init__.py), in a fixed order and with one time, so that the same
sources give the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from staged_files import REPOSITORY, version

from wholecard.host.agent.zipapp import agent_bytes

COLLECTION = REPOSITORY / "packages/ansible"
AGENT = "plugins/module_utils/agent_archive.py"
# In the sources, and not in the archive.
_LEFT_OUT = ("galaxy.yml",)
_FORMAT = 1
# The keys of MANIFEST.json that galaxy.yml may leave out.
_OPTIONAL = ("repository", "documentation", "homepage", "issues")


def build_collection(target: Path, epoch: int) -> Path:
    """Write the archive into the folder `target`; `ansible-galaxy collection install` reads it."""
    files = collection_files()
    listed = _json({"files": _listed(files), "format": _FORMAT})
    info = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    manifest = _json(_manifest({**info, "version": version()}, listed))
    place = target / f"{info['namespace']}-{info['name']}-{version()}.tar.gz"
    members = {"MANIFEST.json": manifest, "FILES.json": listed, **files}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in _folders(files):
            archive.addfile(_entry(folder, epoch, tarfile.DIRTYPE))
        for name, content in members.items():
            entry = _entry(name, epoch, tarfile.REGTYPE)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    place.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))
    return place


def collection_files() -> dict[str, bytes]:
    """The collection's files by their paths, sorted; the agent is among them."""
    files = {
        str(path.relative_to(COLLECTION)): path.read_bytes()
        for path in COLLECTION.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path.name not in _LEFT_OUT
    }
    files[AGENT] = _agent_module()
    return dict(sorted(files.items()))


def _agent_module() -> bytes:
    # Ansible carries Python modules to hosts and no other files, so the archive is a text in one.
    text = base64.encodebytes(agent_bytes()).decode()
    return (
        f'"""wholecard-host {version()}, which the modules run on a host, as base64."""\n'
        "\nfrom __future__ import annotations\n\n"
        f'AGENT = """\\\n{text}"""\n'
    ).encode()


def _listed(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    rows = [_row(folder, "dir", None) for folder in (".", *_folders(files))]
    return rows + [_row(name, "file", content) for name, content in files.items()]


def _row(name: str, kind: str, content: bytes | None) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": kind,
        "chksum_type": None if content is None else "sha256",
        "chksum_sha256": None if content is None else hashlib.sha256(content).hexdigest(),
        "format": _FORMAT,
    }


def _manifest(info: dict[str, Any], listed: bytes) -> dict[str, Any]:
    return {
        "collection_info": {**info, "license_file": None, **{
            name: info.get(name) for name in _OPTIONAL}},
        "file_manifest_file": _row("FILES.json", "file", listed),
        "format": _FORMAT,
    }  # fmt: skip


def _folders(files: Mapping[str, bytes]) -> list[str]:
    folders = {str(parent) for name in files for parent in Path(name).parents}
    return sorted(folders - {"."})


def _entry(name: str, epoch: int, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mtime = kind, epoch
    entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return entry


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=1).encode()
