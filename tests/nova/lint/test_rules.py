"""Findings of lint beyond the examples of the pages: places, words, and what stays still."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from support.lint_hosts import ALIAS, FILTERS, H100, only, rules, service
from support.nova_conf import parsed
from wholecard.core import Severity, WholecardError
from wholecard.core.near_names import NearNames
from wholecard.core.position import Position
from wholecard.core.releases import RELEASES, release
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, default_filters
from wholecard.nova.lint import Service, lint
from wholecard.nova.lint.json_positions import diagnose, spans
from wholecard.nova.options import Role

SCHEDULER = f"[filter_scheduler]\n{FILTERS}\n"


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ("[pci]\nalias = {'name': 'x'}\n", "WC217", 2, 10),
        ('[pci]\nalias = {"name": "x",\n   "vendor_id": "10de" "product_id": "2330"}\n',
         "WC217", 3, 24),
        ('[pci]\nalias = {\n  "name": "x", "vendor_id": "10de", "product_id": "233"}\n',
         "WC222", 3, 51),
        ('[pci]\ndevice_spec = [{"address": "0000:01:00.0"}, {"address": "0:0:20.0"}]\n',
         "WC224", 2, 57),
        ('[pci]\ndevice_spec = {"address": {"bus": "01", "slot": "0[0"}}\n', "WC223", 2, 49),
        ('[pci]\ndevice_spec = {"address": {"bus": "01", "buss": "02"}}\n', "WC220", 2, 41),
        ('[pci]\ndevice_spec : "{\'vendor_id\': \'10de\'}"\n', "WC217", 2, 17),
        ('[pci]\ndevice_spec = {"devname": "eth0", "address": "0000:01:00.0"}\n', "WC227", 2, 27),
        (f"[filter_scheduler]\n{FILTERS}, FooFilter\n", "WC237", 2, 159),
    ],
)  # fmt: skip
def test_the_place(text: str, rule: str, line: int, column: int) -> None:
    """A finding stands at the very character, also in a value of several lines."""
    found = only(service(text))
    assert (found.finding.rule, found.position) == (rule, Position(line, column))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("{'a': 'b'}", "single quotes"),
        ('{"a": "b",}', "comma before the end"),
        ("'{\n}'", "quotes around the whole value"),
        ('{"a": True}', "True is Python"),
        ('{"a": "b"', "} is missing at its end"),
        ('[{"a": "b"', "}] is missing at its end"),
        ('{"a": 10de}', "letters and digits"),
        ("a:10de", "an object begins with {"),
        ('{"a": "b"} # c', "a comment follows"),
        ('{\\"a\\": \\"b\\"}', "backslashes"),
        ("{\u201ca\u201d: \u201cb\u201d}", "typographic quotes"),
        ('{"a": "b}', "has no end"),
        ('{a: "b"}', "a key in double quotes"),
        ('{"a": "b"} x', "more text follows"),
        ('{"a": "b" "c": "d"}', "a comma or the end"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "too long"),
    ],
)
def test_what_is_no_json(text: str, said: str) -> None:
    """What keeps a text from being JSON is said so that one sees what to do."""
    found = diagnose(text)
    assert found is not None
    assert said in found.message


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("", "delete the line"),
        ("{'a': 'b'}", "Write double quotes."),
        ('{"a": "b",}', "Remove the comma."),
        ('{"a": "b" "c": "d"}', "Write a comma"),
        ('{"a" "b"}', "Write a colon"),
        ('{"a": "b"', "Write } at its end."),
        ('{"a": b}', "Put the value in double quotes."),
        ('{a: "b"}', "Put the key in double quotes."),
        ('{"a": True}', 'Write "true".'),
        ('{"a": "b"} ; c', "on a line of its own"),
        ('{\\"a\\": \\"b\\"}', "Remove the backslashes."),
        ('{"a": "b"} {"c": "d"}', "need a list"),
    ],
)
def test_each_cause_has_its_fix(text: str, fix: str) -> None:
    """What to do about a value that is no JSON depends on what is wrong with it."""
    found = diagnose(text)
    assert found is not None
    assert fix in found.fix


@pytest.mark.parametrize(
    ("text", "line", "stop", "fix"),
    [
        ('[pci]\ndevice_spec = [\n  {"vendor_id": "10de", "product_id": "2330"}\n]\n'
         "report_in_placement = true\n", 4, 4, "Indent line 4."),
        ('[pci]\ndevice_spec =\n  [\n{"vendor_id": "10de"},\n{"vendor_id": "1002"}]\n', 4, None,
         "Indent lines 4 to 5."),
        ('[pci]\nalias = {\n  "name": "a", "vendor_id": "10de",\n\n  "product_id": "2330"\n  }\n',
         5, 5, "Remove the empty or comment line on line 4."),
        ('[pci]\nalias = {\n# here\n\n  "name": "a", "vendor_id": "10de"}\n', 5, 5,
         "Remove the empty or comment line on lines 3 to 4."),
        ('[pci]\nalias = {\n  "name": "a",\n# here\n"vendor_id": "10de"\n}\n', 5, 6,
         "Indent lines 5 to 6, and remove the empty or comment line on line 4."),
        ('[pci]\nalias =\n{"name": "a", "vendor_id": "10de", "product_id": "2330"\n}\n', 3, 4,
         "Indent lines 3 to 4."),
        ('[pci]\nalias = {\n"name": "a",\n"vendor_id": "10de",\n"product_id": "2330"\n}\n[x]\n',
         3, 6, "Indent lines 3 to 6."),
    ],
)  # fmt: skip
def test_a_value_that_is_broken_off(
    tmp_path: Path, text: str, line: int, stop: int | None, fix: str
) -> None:
    """A value whose lines are not indented, or that an empty line ends, is one finding there.

    It says whether oslo.config stops at one of its lines, as oslo.config itself has it.
    """
    found = only(service(text))
    assert (found.finding.rule, found.position.line) == ("WC217", line)
    assert found.finding.fix == fix
    assert "only indented lines continue a value" in found.finding.message
    stops = f": oslo.config stops at line {stop}, and no service that reads the file starts"
    assert found.finding.message.endswith(stops if stop else "because of it")
    conf = tmp_path / "nova.conf"
    conf.write_text(text)
    with pytest.raises(WholecardError) if stop else nullcontext() as caught:
        read_values([conf], 32)
    assert caught is None or f"at {conf}:{stop}, " in caught.value.details


def test_a_bad_byte_is_told_beside_what_is_broken_off() -> None:
    """Bytes that are no UTF-8 are a fault of their own, which no indenting mends."""
    text = b'[pci]\nalias = {\n"name": "\xe4"\n}\n'
    assert sorted(rules(service(text))) == ["WC202", "WC217"]


def test_a_bracket_that_is_missing_swallows_nothing() -> None:
    """Where a bracket is missing, what follows is judged as what it is."""
    text = f"[pci]\ndevice_spec = [{H100}\n\n[filter_scheduler]\nenabled_filter = x\n"
    assert rules(service(text)) == ["WC217", "WC214"]


def test_json_is_none() -> None:
    """Of a text that is JSON nothing is said."""
    assert diagnose('{"a": [1, {"b": null}]}') is None


def test_spans_of_keys_and_values() -> None:
    """Keys and values are found where they stand, also in lists; a key that comes twice is told."""
    text = '[{"a": "x:,{", "b": {"c": 1}}, {"a": 2, "a": [3]}]'
    found, twice = spans(text)
    values = {path: text[slice(*span.value)] for path, span in found.items()}
    assert values[0, "a"] == '"x:,{"'
    assert values[0, "b"] == '{"c": 1}'
    assert values[0, "b", "c"] == "1"
    assert values[1, "a"] == "[3]"
    assert [(each.path, text[slice(*each.key)]) for each in twice] == [((1, "a"), '"a"')]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("passthrough_whitelists", "passthrough_whitelist"),
        ("PassThrough-Whitelist", "passthrough_whitelist"),
        ("device_spce", "device_spec"),
        ("devcie_spec", "device_spec"),
        ("device_sec", "device_spec"),
        ("debug", None),
        ("x" * 1000, None),
        ("", None),
    ],
)
def test_near_names(name: str, near: str | None) -> None:
    """A name off by a letter or by signs is near, another is not."""
    assert NearNames(["device_spec", "passthrough_whitelist", "alias"]).near(name) == near


def test_one_file_for_all_roles() -> None:
    """A file that several roles share has nothing that is unread where one of them reads it."""
    conf = parsed(f"[pci]\nalias = {ALIAS}\n{SCHEDULER}".encode())
    services = [Service(conf, release("2025.2"), role) for role in ("api", "scheduler", "compute")]
    assert rules(*services) == []
    assert rules(services[0]) == ["WC215"]
    unread = [Service(conf, release("2025.2"), role) for role in ("api", "conductor")]
    assert rules(*unread) == ["WC215"]


def test_filters_count_where_they_are_read() -> None:
    """A list of filters in nova-compute's file is unread, and nothing is said of what it lacks."""
    text = "[filter_scheduler]\nenabled_filters = ComputeFilter, FooFilter\n"
    assert rules(service(text, "compute")) == ["WC215"]
    assert rules(service(text, "scheduler")) == ["WC236", "WC238", "WC237"]


@pytest.mark.parametrize(
    ("available", "item", "found"),
    [
        ("our.AvailabilityZoneFilter", "AvailabilityZoneFilter", []),
        ("our.NumInstancesFilters", "NumInstancesFilters", []),
        ("our.filters", "NumInstancesFilters", []),
        ("our.OtherFilter", "NumInstancesFilters", ["WC237"]),
    ],
)
def test_filters_of_somebody_elses(available: str, item: str, found: list[str]) -> None:
    """A filter that available_filters names, or may bring, is there whatever its name."""
    text = (
        f"[filter_scheduler]\n{FILTERS},{item}\navailable_filters = {available}\n"
        "available_filters = nova.scheduler.filters.all_filters\n"
    )
    assert rules(service(text, "scheduler", "2026.2")) == found


def test_what_is_the_same_is_said_once() -> None:
    """A finding that two roles have in one file is one finding of both."""
    conf = parsed(b"[pci]\nalias = {}\n")
    roles = [Service(conf, release("2025.2"), role) for role in ("api", "compute")]
    assert [each.roles for each in lint(roles)] == [("api", "compute")]


def test_a_password_is_never_said() -> None:
    """No finding has a value of an option that is none of ours, wherever it came from."""
    text = (
        "[DEFAULT]\ntransport_url = rabbit://s3cret\n[pci]\n"
        'alias = {"name": "$transport_url", "vendor_id": "$transport_url"}\n'
        'alias = "$transport_url\ndevice_spec = {"vendor_id": "$transport_url"}\n'
        'device_spec = $transport_url\ndevice_spec = {"$transport_url": 1}\n'
        'device_spec = {"address": "$transport_url"}\n'
        "  password = s3cret\n[database\nconnection = s3cret\ns3cret\n  s3cret\n"
    )
    found = lint([service(text)])
    assert len(found) > 10
    assert "s3cret" not in str([(each.finding, each.shown) for each in found])


@pytest.mark.parametrize("major", range(len(RELEASES)))
def test_a_configuration_of_every_release(major: int) -> None:
    """What is right in a release, under its own names and with its own filters, is clean."""
    of = RELEASES[major]
    old = of.nova < 15
    spec = "passthrough_whitelist" if of.nova < 26 else "device_spec"
    texts = {
        "compute": f"[DEFAULT]\npci_passthrough_whitelist = {H100}\n" if old else
        f"[pci]\n{spec} = {H100}\nalias = {ALIAS}\n",
        "api": f"[DEFAULT]\npci_alias = {ALIAS}\n" if old else f"[pci]\nalias = {ALIAS}\n",
    }  # fmt: skip
    if of.nova == 14:
        texts["compute"] += f"pci_alias = {ALIAS}\n"
    filters = ",".join((*default_filters(of.nova), PCI_FILTER))
    texts["scheduler"] = (
        f"[DEFAULT]\nscheduler_default_filters = {filters}\n" if old
        else f"[filter_scheduler]\nenabled_filters = {filters}\n"
    )  # fmt: skip
    services = [
        service(text, role, of.series, *(["gpu-01"] if role == "compute" else []),  # type: ignore[arg-type]  # they are roles
                path=f"{role}.conf")
        for role, text in texts.items()
    ]  # fmt: skip
    assert [(each.finding.rule, each.finding.message) for each in lint(services)] == []


def test_every_option_is_told_in_its_releases() -> None:
    """Whatever its name, an option is right, deprecated, not yet there, or gone, and never two."""
    for of in RELEASES:
        for name, text in (("scheduler_default_filters", "[DEFAULT]"), ("alias", "[pci]")):
            value = ALIAS if name == "alias" else FILTERS.partition("= ")[2]
            found = rules(service(f"{text}\n{name} = {value}\n", None, of.series))
            names = [rule for rule in found if rule in ("WC210", "WC211", "WC212")]
            assert len(names) <= 1


@pytest.mark.parametrize(
    ("name", "of", "rule"),
    [
        ("enabled_vgpu_types", "pike", "WC212"),
        ("enabled_vgpu_types", "queens", None),
        ("enabled_vgpu_types", "wallaby", None),
        ("enabled_vgpu_types", "xena", "WC211"),
        ("enabled_vgpu_types", "2026.2", "WC211"),
        ("enabled_mdev_types", "wallaby", "WC212"),
        ("enabled_mdev_types", "xena", None),
    ],
)
def test_the_names_of_mediated_devices(name: str, of: str, rule: str | None) -> None:
    """[devices] enabled_vgpu_types of Queens became enabled_mdev_types in Xena."""
    found = rules(service(f"[devices]\n{name} = nvidia-35\n", "compute", of))
    assert found == ([rule] if rule else [])


def test_too_many_are_counted() -> None:
    """Of a rule fifty findings are said of a file, and the last says how many more there are."""
    found = lint([service("[pci]\n" + "alias = {}\n" * 60)])
    assert len(found) == 50
    assert "(and at least 10 more of this rule)" in found[-1].finding.message


def test_notes_do_not_fail() -> None:
    """A dollar sign that nova can replace is a note."""
    text = f"[DEFAULT]\nhost = a\n[pci]\nalias = {ALIAS.replace('h100', 'h100-$host')}\n"
    assert only(service(text)).finding.severity is Severity.NOTE


@pytest.mark.parametrize(
    "text",
    [
        "[conductor]\nworkers = 4\n",
        "[compute]\ndriver = libvirt.LibvirtDriver\n",
        "[other]\nmax_attempts = 3\nalias = x\n",
        "[pci]\ncomment = x\n[other]\naliases = {}\nwhitelist = {}\n",
        "[oslo_messaging_notifications]\ndriver = messagingv2\n",
        "[api]\n[cinder]\n[cache]\n[mdev_nvidia-35]\n[placement_database]\n",
    ],
)
def test_what_others_have_is_theirs(text: str) -> None:
    """An option or a section of others is not taken for one of ours because of a common name."""
    assert rules(service(text)) == []


@pytest.mark.parametrize(
    ("text", "rule", "right"),
    [
        (f"[pci]\naliases = {ALIAS}\n", "WC214", "Write [pci] alias."),
        (f"[pci]\nwhitelist = {H100}\n", "WC214", "Write [pci] device_spec."),
        (f"[pci]\ncards = {H100}\n", "WC214", "Write [pci] device_spec."),
        (f"[pci]\ncard = {ALIAS}\n", "WC214", "Write [pci] alias."),
        (f"[pci]\ncards = [{H100}]\n", "WC214", "Write [pci] device_spec."),
        (f"[pci_passthrough]\nalias = {ALIAS}\n", "WC213", "Write [pci] alias."),
    ],
)
def test_names_far_from_right(text: str, rule: str, right: str) -> None:
    """Names that people make up are told, by themselves or by what stands in them."""
    found = only(service(text))
    assert (found.finding.rule, found.finding.fix) == (rule, right)


@pytest.mark.parametrize("line", ["{% if x %}", "{{- if .x }}"])
def test_a_template_is_said_to_be_one(line: str) -> None:
    """A template is one finding, and not one for each of its lines."""
    found = only(service(f"[DEFAULT]\n{line}\na = 1\n{line}\n"))
    assert (found.finding.rule, found.position) == ("WC201", Position(2, 1))
    assert "a template" in found.finding.message


def test_names_of_any_length_are_cut() -> None:
    """A section or name of thousands of signs does not fill a page."""
    long = "x" * 3000
    for text in (f"[{long}]\ndevice_spec = {H100}\n", f'[pci]\ndevice_spec = {{"{long}": "1"}}\n'):
        assert all(len(str(each.finding)) < 1000 for each in lint([service(text)]))


def test_a_value_with_anothers_is_not_repeated() -> None:
    """Of a value in which another option's stands no key, class or id is said."""
    secret = "[DEFAULT]\ntransport_url = s3cret\n[pci]\nreport_in_placement = true\n"
    text = secret + (
        'alias = {"name": "$transport_url", "vendor_id": "10de", "product_id": "2330"}\n'
        'alias = {"name": "$transport_url", "resource_class": "$transport_url"}\n'
        'device_spec = {"$transport_url": 1, "$transport_url": 2, "devname": "$transport_url"}\n'
        'device_spec = {"vendor_id": "10de", "traits": "$transport_url"}\n'
    )
    found = lint([service(text, "compute", "2025.2", "gpu-01")])
    assert {each.finding.rule for each in found} >= {"WC208"}
    assert "s3cret" not in str([each.finding for each in found]).lower()


@pytest.mark.parametrize("role", ["scheduler", "conductor", "placement"])
def test_what_a_role_does_not_read_is_a_note(role: Role) -> None:
    """A broken alias in the scheduler's file breaks nothing there: notes, and no error."""
    text = f"[pci]\nalias = {{'name':'a'}}\ndevice_spec = {H100}\n{SCHEDULER}"
    severities = {one.finding.severity for one in lint([service(text, role)])}
    assert severities == {Severity.NOTE}


def test_the_role_that_reads_it_counts() -> None:
    """One file of two roles: the error of the role that reads the option stays one."""
    text = f"[pci]\nalias = {{'name':'a'}}\n{SCHEDULER}"
    found = lint([service(text, "scheduler"), service(text, "api")])
    (broken,) = [one for one in found if one.finding.rule == "WC217"]
    assert (broken.finding.severity, broken.roles) == (Severity.ERROR, ("scheduler", "api"))


def test_a_compute_file_with_everything_is_clean() -> None:
    """Options of other roles in a compute's file give notes alone."""
    text = (f"[pci]\nalias = {ALIAS}\ndevice_spec = {H100}\n{SCHEDULER}"
            "available_filters = nova.scheduler.filters.all_filters\nhost_subset_size = 10\n"
            "[quota]\ndriver = nova.quota.DbQuotaDriver\n")  # fmt: skip
    found = lint([service(text, "compute")])
    assert {one.finding.severity for one in found} <= {Severity.NOTE}


@pytest.mark.parametrize(
    ("series", "rules_found"), [("ocata", ["WC253"]), ("queens", ["WC253"]), ("rocky", [])]
)
def test_capital_ids(series: str, rules_found: list[str]) -> None:
    """Before Rocky nova compares an alias's ids letter by letter, and no device has capitals."""
    text = '[pci]\nalias = {"name":"p40","vendor_id":"10DE","product_id":"1B38"}\n'
    assert rules(service(text, "api", series)) == rules_found
