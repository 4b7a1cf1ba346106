"""device_spec and alias against hosts: several hosts, VFs, Placement's names, tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from support.hosts import by_slot
from support.lint_hosts import ALIAS, FILTERS, H100, function, h100, host, only, rules, service
from support.nova_conf import parsed
from wholecard.core import Severity
from wholecard.core.releases import release
from wholecard.nova.lint import Facts, Service, lint
from wholecard.pci import Function, IommuGroup
from wholecard.site.model import Site

REPORT = "[pci]\nreport_in_placement = true\n"


FULL = Site.model_validate({"release": "2025.2", "cards": {}, "tuning": "full"})


def on(text: str, *hosts: Facts) -> Service:
    """A compute with this text on these hosts."""
    conf = parsed(text.encode(), "compute.conf")
    return Service(conf, release("2025.2"), "compute", hosts)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (['{"devname": "ens1f0"}'], "devname"),
        (['{"address": "0000:62:00.2", "resource_class": "A"}',
          '{"address": "0000:62:00.3", "resource_class": "B"}'], "CUSTOM_B"),
        (['{"address": "0000:62:00.2", "traits": "CUSTOM_A"}',
          '{"address": "0000:62:00.3"}'], "differs from other VFs of its PF"),
        (['{"product_id": "101e", "address": "0000:62:00.*", "one_time_use": "no"}'],
         "cannot have one_time_use"),
    ],
)  # fmt: skip
def test_what_cannot_be_reported(specs: list[str], said: str) -> None:
    """Whatever nova-compute cannot report to Placement is WC255, in nova's words."""
    text = REPORT + "".join(f"device_spec = {spec}\n" for spec in specs)
    found = [each for each in lint([service(text, "compute", "2025.2", "gpu-01")])
             if each.finding.rule == "WC255"]  # fmt: skip
    assert len(found) == 1
    assert said in found[0].finding.message


def test_the_address_of_a_pf_takes_its_vfs() -> None:
    """A PF's own address matches its VFs too, so both are given."""
    text = '[pci]\ndevice_spec = {"address": "0000:62:00.0"}\n'
    found = only(service(text, "compute", "2025.2", "gpu-01"))
    assert (found.finding.rule, found.finding.severity) == ("WC255", Severity.WARNING)


def test_one_of_several_hosts_is_enough() -> None:
    """A device_spec that matches on one host matches, and an alias that one host answers too."""
    text = f"[pci]\ndevice_spec = {H100}\nalias = {ALIAS}\n"
    empty = Facts("gpu-09", host(function("0000:81:00.0", "144d:a80a", "010802")))
    full = Facts("gpu-10", host(h100("0000:41:00.0")))
    assert rules(on(text, empty, full)) == []
    assert rules(on(text, empty)) == ["WC246"]


def test_the_nearest_is_named() -> None:
    """A spec that matches nothing says what is nearest: another product, another address."""
    for spec, said in (
        ('{"vendor_id": "10de", "product_id": "2331"}', "10de:2330"),
        ('{"vendor_id": "10de", "product_id": "2330", "address": "0000:43:00.0"}', "0000:41:00.0"),
        ('{"vendor_id": "1002"}', "no device of the host has the vendor 1002"),
    ):
        text = f"[pci]\ndevice_spec = {spec}\n"
        found = only(service(text, "compute", "2025.2", "gpu-01"))
        assert found.finding.rule == "WC246"
        assert said in found.finding.message


@pytest.mark.parametrize(
    ("tags", "keys", "clean"),
    [
        ("", "", True),
        (', "resource_class": "gpu"', ', "resource_class": "CUSTOM_GPU"', True),
        (', "traits": "a,B"', ', "traits": "CUSTOM_B"', True),
        (', "resource_class": "CUSTOM_A"', ', "resource_class": "CUSTOM_B"', False),
        (', "traits": "CUSTOM_A"', ', "traits": "CUSTOM_A,CUSTOM_B"', False),
    ],
)
def test_placement_is_asked_for_what_is_reported(tags: str, keys: str, clean: bool) -> None:
    """Resource class and traits are compared as Placement has them, names made custom.

    It is one rule, be it read from the host's devices or from the files alone.
    """
    spec = H100.replace("}", tags + "}")
    alias = ALIAS.replace("}", keys + "}")
    uses = "[filter_scheduler]\npci_in_placement = true\n"
    api = service(f"{uses}[pci]\nalias = {alias}\n", "api", path="api.conf")
    text = f"{uses}{REPORT}device_spec = {spec}\nalias = {alias}\n"
    for hosts in (("gpu-01",), ()):
        compute = service(text, "compute", "2025.2", *hosts, path="compute.conf")
        found = rules(api, compute)
        assert set(found) == (set() if clean else {"WC245"}), [
            each.finding for each in lint([api, compute])
        ]


def test_what_a_spec_matches_by_other_words() -> None:
    """Of an interface's function nothing is said; an address that nothing has is told as such."""
    text = '[pci]\ndevice_spec = {"devname": "ens1f0"}\n'
    assert "WC246" not in rules(service(text, "compute", "2025.2", "gpu-01"))
    text = '[pci]\ndevice_spec = {"address": "0000:77:00.0"}\n'
    found = only(service(text, "compute", "2025.2", "gpu-01"))
    assert found.finding.message.endswith("matches nothing on gpu-01: no device of the host has "
        "this address")  # fmt: skip


def test_a_card_that_nova_cannot_address() -> None:
    """Where the card is behind VMD each finding has the one mend there is, and no other."""
    text = f"[pci]\ndevice_spec = {H100}\nalias = {ALIAS}\n"
    found = lint([on(text, Facts("gpu-09", host(h100("10000:01:00.0"))))])
    assert [each.finding.rule for each in found] == ["WC246", "WC258", "WC253"]
    assert {each.finding.fix for each in found} == {
        "Switch off VMD for this port in the firmware, or keep the card for the host."
    }


def test_many_cards_are_a_note_to_the_scheduler() -> None:
    """With full tuning eight cards of a kind ask the scheduler for settings, as a note."""
    compute = service(f"{REPORT}device_spec = {H100}\n", "compute", "2025.2", "gpu-08",
                      path="compute.conf")  # fmt: skip
    scheduler = service(f"[filter_scheduler]\n{FILTERS}\npci_in_placement = true\n", "scheduler",
                        path="scheduler.conf")  # fmt: skip
    assert rules(compute, scheduler) == []
    (found,) = lint([compute, scheduler], FULL)
    assert (found.path, found.finding.rule, found.finding.severity) == (
        "scheduler.conf", "WC259", Severity.NOTE,
    )  # fmt: skip
    few = service(f"{REPORT}device_spec = {H100}\n", "compute", "2025.2", "gpu-01",
                  path="compute.conf")  # fmt: skip
    assert rules(few, scheduler) == []


TUNED = {
    "max_allocation_candidates": "100",
    "allocation_candidates_generation_strategy": "breadth-first",
    "randomize_allocation_candidates": "true",
}


@pytest.mark.parametrize(
    ("values", "optimised", "lines"),
    [
        ({}, "true", []),
        ({"max_allocation_candidates": "-1"}, "true", [2]),
        ({"max_allocation_candidates": "50"}, "true", []),
        ({"allocation_candidates_generation_strategy": "depth-first"}, "true", [3]),
        ({"randomize_allocation_candidates": "false"}, "true", []),
        ({}, "false", [6]),
        ({"max_allocation_candidates": "-1",
          "allocation_candidates_generation_strategy": "depth-first"}, "off", [2, 3, 6]),
    ],
)  # fmt: skip
def test_a_tuning_that_is_none(values: dict[str, str], optimised: str, lines: list[int]) -> None:
    """An option that stands there with a value that does nothing for many cards is WC259."""
    compute = service(f"{REPORT}device_spec = {H100}\n", "compute", "2025.2", "gpu-08",
                      path="compute.conf")  # fmt: skip
    text = "[placement]\n" + "".join(f"{k} = {v}\n" for k, v in {**TUNED, **values}.items())
    text += f"[workarounds]\noptimize_for_wide_provider_trees = {optimised}\n"
    found = lint([compute, service(text, "placement", "2025.2", path="placement.conf")])
    assert [(each.path, each.position.line) for each in found] == [
        ("placement.conf", line) for line in lines
    ]
    assert {each.finding.rule for each in found} <= {"WC259"}


@pytest.mark.parametrize(
    ("series", "host", "fires"),
    [("2023.1", "gpu-08", True), ("2024.1", "gpu-08", True), ("2024.2", "gpu-08", False),
     ("2024.1", "gpu-01", False)],
)  # fmt: skip
def test_placement_that_cannot_be_tuned(series: str, host: str, fires: bool) -> None:
    """Before 2024.2 pci_in_placement itself is what is wrong with eight cards on a host."""
    compute = service(f"{REPORT}device_spec = {H100}\nalias = {ALIAS}\n", "compute", series, host,
                      path="compute.conf")  # fmt: skip
    for on, told in (("true", fires), ("false", False)):
        text = f"[pci]\nalias = {ALIAS}\n[filter_scheduler]\npci_in_placement = {on}\n"
        found = lint([compute, service(text, "api", series, path="api.conf")])
        assert [(each.path, each.position.line, each.finding.rule) for each in found] == (
            [("api.conf", 4, "WC259")] if told else []
        )


def test_a_refused_spec_keeps_the_rest_still() -> None:
    """Where nova refuses a device_spec nothing is said of what the aliases would find."""
    text = f'[pci]\ndevice_spec = {{"vendor_id": "x"}}\nalias = {ALIAS}\n'
    assert rules(service(text, "compute", "2025.2", "gpu-01")) == ["WC222"]


def test_everything_takes_the_hosts_own() -> None:
    """A spec for every device is told of the disk, the console and the display, once each."""
    text = "[pci]\ndevice_spec = {}\n"
    found = rules(service(text, "compute", "2025.2", "gpu-01"))
    assert found == ["WC229", "WC247", "WC248", "WC249", "WC250", "WC255"]


def test_several_earlier_specs_together() -> None:
    """Where several lines before give all that a device_spec matches, each of them is named."""
    text = (
        "[pci]\n"
        'device_spec = {"address": "0000:41:00.0"}\n'
        'device_spec = {"address": "0000:42:00.0"}\n'
        f"device_spec = {H100}\n"
    )
    found = only(service(text, "compute", "2025.2", "gpu-01"))
    assert (found.finding.rule, found.position.line) == ("WC251", 4)
    assert "nova.conf:2, nova.conf:3 together give all" in found.finding.message


def test_exchanged_ids_are_one_cause() -> None:
    """Ids that are exchanged in alias and device_spec are said of each, and not as no card too."""
    ids = '"vendor_id": "2330", "product_id": "10de"'
    text = f'[pci]\ndevice_spec = {{{ids}}}\nalias = {{"name": "h100", {ids}}}\n'
    compute = service(text, "compute", "2025.2", "gpu-01")
    assert rules(compute) == ["WC235", "WC235"]
    api = service(f'[pci]\nalias = {{"name": "h100", {ids}}}\n', "api", path="api.conf")
    assert sorted(rules(api, compute)) == ["WC235"] * 3


def test_type_and_class_are_two_causes() -> None:
    """A missing device_type and another class are told in one run."""
    uses = "[filter_scheduler]\npci_in_placement = true\n"
    spec = H100.replace("}", ', "resource_class": "CUSTOM_A"}')
    alias = H100.replace("{", '{"name": "h100", ')
    text = f"{uses}{REPORT}device_spec = {spec}\nalias = {alias}\n"
    assert rules(service(text, "compute", "2025.2", "gpu-01")) == ["WC245", "WC254"]


def test_a_card_that_no_spec_gives() -> None:
    """An alias for a card that is there and not given is told where it is."""
    text = f'[pci]\ndevice_spec = {{"product_id": "1021", "vendor_id": "15b3"}}\nalias = {ALIAS}\n'
    found = [each for each in lint([service(text, "compute", "2025.2", "gpu-01")])
             if each.finding.rule == "WC253"]  # fmt: skip
    assert (
        "gpu-01 has it at 0000:41:00.0, but no device_spec matches it" in found[0].finding.message
    )
    assert found[0].roles == ("compute",)


def test_settings_that_all_services_would_take() -> None:
    """What stands in [DEFAULT] is told to a file that the one service alone reads."""
    compute = service(f"{REPORT}device_spec = {H100}\n", "compute", "2025.2", "gpu-08",
                      path="compute.conf")  # fmt: skip
    uses = f"[filter_scheduler]\n{FILTERS}\npci_in_placement = true\n"
    for role, alone in (("scheduler", "executor_thread_pool_size"),
                        ("conductor", "rpc_response_timeout")):  # fmt: skip
        text = uses if role == "scheduler" else uses.replace(FILTERS, "")
        other = service(text, role, path=f"{role}.conf")  # type: ignore[arg-type]  # they are roles
        (found,) = lint([compute, other], FULL)
        common, _, own = found.finding.fix.partition(f"into a file that nova-{role} alone reads\n")
        assert alone in own
        assert "[DEFAULT]" not in common
        assert "[scheduler]" in common


def _rtx(*slots: str, audio: bool = True, group: Callable[..., Any] = by_slot) -> Facts:
    """A host of RTX cards, each a GPU and its audio function, on vfio-pci."""
    functions = [
        member
        for slot in slots
        for member in (
            function(f"{slot}.0", "10de:1e30", "030000", driver="vfio-pci"),
            *([function(f"{slot}.1", "10de:10f7", "040300", driver="vfio-pci")] * audio),
        )
    ]
    return Facts("g", host(*functions, group=group))


def test_a_tag_that_replaces_the_type() -> None:
    """A tag `dev_type` is the cause where the alias asks for the devices' own type."""
    spec = H100.replace("}", ', "dev_type": "type-PCI"}')
    found = lint([on(f"[pci]\ndevice_spec = {spec}\nalias = {ALIAS}\n",
                     Facts("g", host(h100("0000:41:00.0"), group=by_slot)))])  # fmt: skip
    assert [(one.finding.rule, one.finding.fix) for one in found] == [
        ("WC220", "Remove it: the alias requests the type, by device_type."),
        ("WC254", "Remove dev_type from the device_spec."),
    ]
    assert not any(one.edits for one in found)


GPU_SPEC = 'device_spec = {"vendor_id": "10de", "product_id": "1e30"}'
AUDIO_SPEC = 'device_spec = {"vendor_id": "10de", "product_id": "10f7"}'
BOTH_SPEC = 'device_spec = {"vendor_id": "10de"}'
GPU_ALIAS = 'alias = {"name": "rtx", "vendor_id": "10de", "product_id": "1e30"}'
AUDIO_ALIAS = 'alias = {"name": "rtx-audio", "vendor_id": "10de", "product_id": "10f7"}'
ONE, TWO = ("0000:41:00",), ("0000:41:00", "0000:42:00")


def _all_in_one_group(functions: Iterable[Function]) -> tuple[IommuGroup, ...]:
    return (IommuGroup(7, tuple(functions)),)


@pytest.mark.parametrize(
    ("lines", "facts", "severity"),
    [
        pytest.param([GPU_SPEC, AUDIO_SPEC, GPU_ALIAS, AUDIO_ALIAS], _rtx(*TWO), Severity.ERROR,
                     id="each function its device_spec and alias, two cards"),
        pytest.param([GPU_SPEC, AUDIO_SPEC, GPU_ALIAS, AUDIO_ALIAS], _rtx(*ONE), None,
                     id="the same on a host with one card"),
        pytest.param([BOTH_SPEC, GPU_ALIAS, AUDIO_ALIAS], _rtx(*TWO), Severity.ERROR,
                     id="one device_spec for all, two cards"),
        pytest.param([BOTH_SPEC, GPU_ALIAS, AUDIO_ALIAS], _rtx(*ONE), None,
                     id="one device_spec for all, one card, and an alias says that it is meant"),
        pytest.param([BOTH_SPEC, GPU_ALIAS], _rtx(*TWO), Severity.WARNING,
                     id="no alias asks for the extra function"),
        pytest.param([BOTH_SPEC], _rtx(*ONE), Severity.WARNING, id="one device_spec takes all"),
        pytest.param([GPU_SPEC, AUDIO_SPEC], _rtx(*TWO), Severity.ERROR, id="no alias is known"),
        pytest.param([GPU_SPEC, AUDIO_SPEC], _rtx(*ONE), None, id="no alias, one card"),
        pytest.param([GPU_SPEC, GPU_ALIAS], _rtx(*TWO), None, id="the GPUs alone"),
        pytest.param([GPU_SPEC, GPU_ALIAS], _rtx(*TWO, group=_all_in_one_group),
                     Severity.WARNING, id="two GPUs of one group"),
        pytest.param(
            [f'device_spec = {{"address": "{slot}.{number}", "set": "{slot}"}}'
             for slot in TWO for number in (0, 1)], _rtx(*TWO), None,
            id="a tag of its own for each card"),
    ],
)  # fmt: skip
def test_parts_of_a_card(lines: list[str], facts: Facts, severity: Severity | None) -> None:
    """WC250 looks over all device_specs and aliases together, and knows hosts with one card."""
    found = [one for one in lint([on("\n".join(["[pci]", *lines, ""]), facts)])
             if one.finding.rule == "WC250"]  # fmt: skip
    assert [one.finding.severity for one in found] == ([severity] if severity else [])


def test_aliases_of_the_api_count_for_a_compute() -> None:
    """The alias for an extra function is found in nova-api's file where the compute's has none."""
    compute = on(f"[pci]\n{GPU_SPEC}\n{AUDIO_SPEC}\n", _rtx(*TWO))
    text = f"[pci]\n{GPU_ALIAS}\n{AUDIO_ALIAS}\n".encode()
    api = Service(parsed(text, "api.conf"), release("2025.2"), "api")
    (found,) = [one for one in lint([api, compute]) if one.finding.rule == "WC250"]
    assert (found.path, found.roles) == ("compute.conf", ("compute",))
    assert "the alias rtx-audio requests them" in found.finding.message
