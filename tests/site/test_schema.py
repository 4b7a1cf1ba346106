"""The published schema of site files: current, valid, and as generous as the reader."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from wholecard.site import give, image_build, model
from wholecard.site.load import read_site
from wholecard.site.schema import schema_text

DOCS = Path(__file__).parents[2] / "docs/reference"
FILE = DOCS / "site.schema.json"
MODELS = [model.Site, model.CardKind, give.Whole, give.Containers, give.Mdev, give.Vfs,
          give.Mig, give.SliceType, give.Scheduling, give.Partitions, give.GpuSet, model.Match,
          model.SiteHost, model.NovaUse,
          model.SiteFlavor, model.SiteImage, model.SiteAggregate, model.Quota,
          model.LintSettings, image_build.ImageBuild, image_build.ImageDriver,
          image_build.ImageRepository, image_build.ImageFile]  # fmt: skip
WHOLE = """\
version: 1
release: 2025.2
cards:
  h100:
    match: [{vendor: 10de, product: 2330, subsystem: 10de:16c1, hosts: [gpu-01]}, {product: 1e30}]
    numa_policy: required
    give: whole
    traits: [CUSTOM_NVLINK]
    resource_class: CUSTOM_H100
  l40s: {match: [{product: 26b9}], give: {policy: whole}}
  parts:
    match: [{product: 26ba}]
    give: {policy: vfs, count: 9, driver: nvidia, mixed_sizes: true,
           types: {NVIDIA L40S-12Q: {count: 4, name: a},
                   1145: {count: 2, name: b, resource_class: CUSTOM_B}},
           scheduling: {exec_quantum_ms: 20, sched_priority: low}}
  devices: {match: [{parent: mtty}], give: {policy: mdev, types: {mtty-1: 2}, made_by: host}}
  instances:
    match: [{product: 2331}]
    give: {policy: mig, geometry: {1g.10gb: 3}, through: vfs, types: {NVIDIA H100-1-10C: 3}}
  audio: {match: [{address: 0000:41:00.1}], extra_function: yes, device_type: type-PCI}
  b200:
    match: [{vendor: 10de, product: 2901}]
    give: {policy: partitions, sets: {b200-x2: {size: 2, modules: [1, 2]}}, table: [[1, 2]]}
hosts: {gpu-01: {cards: {h100: 8}}, gpu-02: ,
        gpu-03: {modules: {"0000:1b:00.0": 1, "0000:1c:00.0": 2}}}
nova: {report_in_placement: true, pci_in_placement: auto, enabled_filters: [ComputeFilter]}
flavors:
  gpu.1: {ram: 65536, vcpus: 16, disk: 0, cards: {h100: 1}, hugepages: 1G, maxphysaddr_bits: 45,
          maxphysaddr: emulate, extra_specs: {hw:cpu_cores: 8, x: true}, numa_policy: socket}
images:
  i: {os: windows, properties: {hw_x: 1}}
  built:
    build: {from: a.img, os: debian-13, size: 12, profiles: [nvidia], packages: [a, b=1.2-3],
            driver: {branch: 580, cuda: runtime}, files: {/etc/a: {content: 1, mode: 0600}},
            repositories: {r: {uri: "https://a/b", suites: [13], components: [main]}},
            run: [[sysctl, -w, 1]]}
aggregates: {a: {hosts: [gpu-01], metadata: {pinned: true}}}
quota_driver: unified
quotas: {p: {cards: {h100: -1}, ram: 4}}
"""


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema as it is published."""
    if os.environ.get("WHOLECARD_RENEW") == "1":
        FILE.write_text(schema_text())
    return json.loads(FILE.read_text())


def test_is_current(schema: Any) -> None:
    """The published file is what `wholecard site schema` prints, and a schema of its draft."""
    assert FILE.read_text() == schema_text()
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_key_has_a_description(schema: Any) -> None:
    """An editor has something to say about every key."""
    for each in (schema, *schema["$defs"].values()):
        for name, field in each["properties"].items():
            assert field.get("description"), name


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.BaseLoader])
def test_takes_a_whole_site(tmp_path: Path, schema: Any, loader: Any) -> None:
    """What read_site takes is valid, whether a YAML reader makes numbers of it or not."""
    path = tmp_path / "site.yaml"
    path.write_text(WHOLE)
    read_site(path)
    data = yaml.load(WHOLE, Loader=yaml.SafeLoader)
    if loader is yaml.BaseLoader:
        # Texts where texts are meant; booleans and integers stay what YAML makes of them.
        data["cards"]["h100"]["match"] = yaml.load(WHOLE, Loader=loader)["cards"]["h100"]["match"]
        data["release"] = "2025.2"
    jsonschema.Draft202012Validator(schema).validate(data)


WRONG: list[Callable[[Any], Any]] = [
    lambda site: site.update(relaese=1),
    lambda site: site.pop("cards"),
    lambda site: site["cards"].update({"a:b": {"match": [{}]}}),
    lambda site: site["cards"]["h100"].update(match=[]),
    lambda site: site["cards"]["h100"]["match"][0].update(vendor="10DE"),
    lambda site: site["cards"]["h100"].update(numa_policy="never"),
    lambda site: site["cards"]["h100"].update(give="part"),
    lambda site: site["cards"]["h100"].update(give={"policy": "part"}),
    lambda site: site["cards"]["h100"].update(give="vfs"),
    lambda site: site["cards"]["h100"].update(give={"policy": "vfs", "types": {"a/b": 1}}),
    lambda site: site["cards"]["h100"].update(give={"policy": "mdev", "types": {}}),
    lambda site: site["cards"]["parts"]["give"]["scheduling"].update(sched_priority="high"),
    lambda site: site["cards"]["instances"]["give"].update(through="whole"),
    lambda site: site["flavors"]["gpu.1"].update(ram=0),
    lambda site: site["flavors"]["gpu.1"].update(ram="much"),
    lambda site: site["quotas"]["p"]["cards"].update(h100=-2),
    lambda site: site.update(version=2),
    lambda site: site["hosts"].update({" ": {}}),
    lambda site: site["images"]["built"]["build"].pop("from"),
    lambda site: site["images"]["built"]["build"].update(os="Ubuntu"),
    lambda site: site["images"]["built"]["build"].update(size=0),
    lambda site: site["images"]["built"]["build"].update(profiles=["nvidea"]),
    lambda site: site["images"]["built"]["build"].update(sha256="12"),
    lambda site: site["images"]["built"]["build"].update(packages=["--help"]),
    lambda site: site["images"]["built"]["build"].update(files={"etc/a": {}}),
    lambda site: site["images"]["built"]["build"].update(run=[[]]),
    lambda site: site["images"]["built"]["build"].update(mirrors=["https://u:p@a/b"]),
]


@pytest.mark.parametrize("spoil", WRONG)
def test_refuses(schema: Any, spoil: Callable[[Any], Any]) -> None:
    """What read_site refuses for its form an editor marks as well."""
    data = yaml.safe_load(WHOLE)
    spoil(data)
    assert not jsonschema.Draft202012Validator(schema).is_valid(data)


def _rows(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        default = "required" if field.is_required() else _default(field.default)
        yield f"| `{field.alias or name}` | {text} | {default} |"


def _default(value: Any) -> str:
    if value is None or value in ((), {}) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize("kind", MODELS)
def test_reference(kind: type[BaseModel]) -> None:
    """The reference has a table of every mapping's keys; renewed with WHOLECARD_RENEW=1."""
    page = DOCS / "site.md"
    begin, end = f"<!-- keys: {kind.__name__} -->\n", "<!-- end -->"
    head = "| key | what it says | default |\n| --- | --- | --- |\n"
    block = begin + "\n" + head + "\n".join(_rows(kind)) + "\n\n" + end
    before, found, rest = page.read_text().partition(begin)
    assert found, f"site.md has no {begin}"
    stands, _, after = rest.partition(end)
    if os.environ.get("WHOLECARD_RENEW") == "1":
        page.write_text(before + block + after)
        return
    assert begin + stands + end == block


def test_every_model_is_in_the_reference() -> None:
    """No mapping of the schema is missing from the list above."""
    names = {"Site", *json.loads(FILE.read_text())["$defs"]}
    assert {each.__name__ for each in MODELS} == names
