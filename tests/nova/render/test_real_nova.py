"""The rendered files, read by real nova where an environment with it is in the cache."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.sites import FACTS, H100_SECOND, eight, site
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.lab.base import cache
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.options import ROLES
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts.cloud import cloud_of

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wholecard"
# Said by nova itself: what each file sets under a name that its release has, and how it is read.
PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import nova.conf
from oslo_config import cfg
CONF = nova.conf.CONF
answers = {}
for name, file in json.load(sys.stdin).items():
    CONF.reset()
    CONF(["--config-file", file], project="nova", default_config_files=[], default_config_dirs=[])
    from nova.pci import request, whitelist
    read = getattr(request, "get_alias_from_config", None) or request._get_alias_from_config
    getattr(read, "cache_clear", lambda: None)()
    sections = {}
    cfg.ConfigParser(file, sections).parse()
    unknown = []
    for section, options in sections.items():
        group = CONF if section == "DEFAULT" else CONF[section]
        for option in options:
            try:
                group[option]
            except cfg.NoSuchOptError:
                unknown.append(f"[{section}] {option}")
    answers[name] = {
        "alias": read(),
        "specs": len(whitelist.Whitelist(CONF.pci.device_spec).specs),
        "unknown": unknown,
        "filters": CONF.filter_scheduler.enabled_filters,
    }
json.dump(answers, sys.stdout)
"""
# oslo.messaging's own, which nova declares when it begins to talk.
MESSAGING = {"[DEFAULT] executor_thread_pool_size", "[DEFAULT] rpc_response_timeout"}


def pythons() -> list[tuple[int, list[str], dict[str, str]]]:
    """How to run a Python with nova of a release: its major version, the command, the environment.

    The differential tests keep environments of several releases; the lab's has the newest nova,
    and the Python of its root runs outside of it through the root's own loader.
    """
    found: list[tuple[int, list[str], dict[str, str]]] = [
        (int(python.parents[1].name.split("-")[1]), [str(python)], {})
        for python in sorted(CACHE.glob("nova-[0-9][0-9]-*/bin/python"))
    ]
    # The lab's tests, which may build these meanwhile, leave only whole ones under this name.
    roots = [root for root in sorted(CACHE.glob("cache/root-*")) if cache.is_whole(root)]
    for packages in sorted(CACHE.glob("cache/openstack-*/lib/python3.*/site-packages")):
        for root in roots:
            python = root / "usr/bin" / packages.parent.name
            loader = root / "lib64/ld-linux-x86-64.so.2"
            if python.exists() and loader.exists() and (packages / "nova").is_dir():
                libraries = root / "usr/lib/x86_64-linux-gnu"
                found.append(
                    (34, [str(loader), "--library-path", str(libraries), str(python)],
                     {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(packages)})
                )  # fmt: skip
    return found


def oldest_and_newest() -> list[tuple[int, list[str], dict[str, str]]]:
    """Of the environments that are there one with the oldest nova and one with the newest."""
    by_major = {each[0]: each for each in pythons()}
    return [
        by_major[major]
        for major in sorted({*by_major} & {min(by_major, default=0), max(by_major, default=0)})
    ]


PYTHONS = oldest_and_newest()
GPU = {"match": [{"vendor": "10de", "product": "2330"}], "numa_policy": "required"}
BOTH = {"match": [{"vendor": "10de"}]}
TWO = {"a": eight(audio=True), "b": eight(audio=False, ids=H100_SECOND)}
FULL = {**GPU, "resource_class": "CUSTOM_H100", "traits": ["CUSTOM_NVLINK"], "managed": False,
        "live_migratable": True}  # fmt: skip
SITES: list[tuple[str, int, Mapping[str, Any], Mapping[str, Host], dict[str, Any]]] = [
    ("plain", 13, {"h100": GPU}, FACTS, {}),
    ("addresses", 15, {"h100": {**GPU, "select": "address"}}, FACTS, {}),
    ("products", 13, {"any": BOTH}, TWO, {}),
    ("unplaced", 13, {"any": BOTH}, TWO, {"nova": {"report_in_placement": False}}),
    ("tags", 31, {"h100": FULL}, FACTS, {}),
    ("once", 32, {"h100": {**GPU, "one_time_use": True}}, FACTS, {}),
    ("limits", 34, {"h100": GPU}, FACTS, {"quotas": {"p": {"cards": {"h100": 8}}}}),
]


@pytest.mark.skipif(not PYTHONS, reason="no environment with nova is in the cache")
@pytest.mark.parametrize(
    ("major", "command", "environment"), PYTHONS, ids=[str(one[0]) for one in PYTHONS]
)
def test_nova_takes_every_file(
    tmp_path: Path, major: int, command: list[str], environment: dict[str, str]
) -> None:
    """Real nova parses every device_spec and alias, and knows each option by the name written."""
    if not Path(command[0]).exists():
        pytest.skip("the lab's tests have removed this environment to build another")
    of = release(str(major))
    files: dict[str, str] = {}
    for name, since, cards, facts, more in SITES:
        if since > major:
            continue
        hosts = {host: {"facts": f"{host}.json"} for host in facts}
        wish = site(cards, **{"hosts": hosts, **more})
        cloud = cloud_of(pci_configs(wish, facts, of), of, default_filters(major))
        for role in ROLES:
            if role != "placement":
                found = cloud.compute(next(iter(facts))) if role == "compute" else cloud.roles[role]
                file = tmp_path / f"{name}.{role}.conf"
                file.write_text(text(role, found, of))
                files[f"{name} {role}"] = str(file)
    ran = subprocess.run(
        [*command, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **environment,
             "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(files), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    assert answers.keys() == files.keys()
    for name, answer in answers.items():
        assert set(answer["unknown"]) <= MESSAGING
        if name.endswith("scheduler"):
            assert answer["filters"] == [*default_filters(major), "PciPassthroughFilter"]
        if name.endswith(("api", "compute")):
            assert len(answer["alias"]) == 1
        if name.endswith("compute"):
            assert answer["specs"] == (8 if name.startswith("addresses") else 1)
