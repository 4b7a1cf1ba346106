"""The package for EL, Fedora and openSUSE, made by rpmbuild."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from staged_files import DESCRIPTION, NAME, SUMMARY, stage, version

_SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: {summary}
License: Apache-2.0
BuildArch: noarch
Requires: python3 >= 3.9
AutoReqProv: no

%description
{description}

%install
mkdir -p %{{buildroot}}
cp -a {stage}/. %{{buildroot}}/

%files
%defattr(-,root,root,-)
%dir /usr/share/doc/{name}
{files}
"""
# The same sources give the same bytes (reproducible-builds.org, "SOURCE_DATE_EPOCH" in rpm).
_DEFINES = {
    "_buildhost": "localhost",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "source_date_epoch_from_changelog": "0",
    "_build_id_links": "none",
    # Nothing is compiled, and compressing pages again would depend on the build machine.
    "__os_install_post": "%{nil}",
    # EL 8 and later read zstd, EL 7 does not; gzip is read by all.
    "_binary_payload": "w9.gzdio",
}


def build_rpm(target: Path, epoch: int) -> Path:
    """Write the package into the folder `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        top, root = Path(scratch, "rpmbuild"), Path(scratch, "stage")
        top.mkdir()
        root.mkdir(mode=0o755)
        files = stage(root, epoch, "site-functions")
        spec = top / f"{NAME}.spec"
        spec.write_text(
            _SPEC.format(
                name=NAME, version=version(), summary=SUMMARY, description=DESCRIPTION, stage=root,
                files="\n".join(f"/{file}" for file in files),
            )
        )  # fmt: skip
        defines = {**_DEFINES, "_topdir": str(top), "_rpmdir": str(top / "out")}
        argv = ["rpmbuild", "-bb", "--quiet", "--target", "noarch"]
        for name, value in defines.items():
            argv += ["--define", f"{name} {value}"]
        subprocess.run(
            [*argv, spec], check=True, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
        )
        (built,) = (top / "out").rglob("*.rpm")
        place = target / built.name
        place.write_bytes(built.read_bytes())
    return place
