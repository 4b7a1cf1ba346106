"""`wholecard image …`: guest images built from a cloud image and a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import image_drivers, options

if TYPE_CHECKING:
    from wholecard.guest.image.build_plan import Choice
    from wholecard.guest.image.build_request import BuildRequest

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)
image_drivers.add(app)

ImageName = Annotated[str, typer.Argument(metavar="NAME", help="An image of the site file.")]
Output = Annotated[Path | None, typer.Option(
    "--output", "-o", metavar="FILE", help="The file that build writes. Default: the image's "
        "`file`, or NAME.qcow2 beside the site file; with --on-boot NAME.user-data.")]  # fmt: skip
WriterName = Annotated[str, typer.Option(
    "--writer", metavar="WRITER", help="virt-customize, also without KVM, or cloud-config, "
        "which is --on-boot. Default: virt-customize where it and KVM are.")]  # fmt: skip
OnBoot = Annotated[bool, typer.Option(
    "--on-boot", help="Do not build an image: write user data with which the guest's cloud-init "
        "does the same at the first boot of a stock image.")]  # fmt: skip
Offline = Annotated[bool, typer.Option(
    "--offline", help="Fetch nothing: use only the cache, files and file: mirrors.")]  # fmt: skip


@app.command("plan")
def plan_command(
    name: ImageName,
    site: options.SiteFile = Path("site.yaml"),
    output: Output = None,
    writer: WriterName = "",
    on_boot: OnBoot = False,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:
    """Print what build would do: base, sizes, writer, each step and why; changes nothing.

    What prevents the build comes first, such as an image that is too small, with the number.
    """
    from wholecard.core import exit_status
    from wholecard.core.report_text import terminal_width
    from wholecard.guest.image.build import default_cache, plan
    from wholecard.guest.image.build_plan import plan_json, plan_text

    request, choice = _asked(site, name, output, writer, on_boot)
    decided = plan(request, choice, default_cache())
    text = plan_text(decided, terminal_width())
    options.show(text, plan_json(decided), as_json=as_json, format_name=format_name)
    raise typer.Exit(exit_status(decided.findings))


@app.command("build")
def build_command(
    name: ImageName,
    site: options.SiteFile = Path("site.yaml"),
    output: Output = None,
    writer: WriterName = "",
    on_boot: OnBoot = False,
    offline: Offline = False,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:
    """Build an image: fetch the base, make it larger, carry out the recipe, pack it.

    The image and FILE.json, the record of what went in, are written when both are whole. A build
    that was interrupted goes on where it stopped. The cache is $XDG_CACHE_HOME/wholecard/images.

    Exit status 1: the image is built, and its kernel would not give the cards to their driver.
    """
    from dataclasses import asdict

    from wholecard.cli.image_progress import watching
    from wholecard.core import exit_status
    from wholecard.core.report_text import findings_text
    from wholecard.guest.image.build import build, default_cache

    request, choice = _asked(site, name, output, writer, on_boot)
    with watching() as watcher:
        built = build(request, choice, default_cache(), watcher, offline=offline)
    if built.record is None:
        text = (
            f"{built.file} is written. Give it to a server of a stock image:\n"
            f"  openstack server create --user-data {built.file} …"
        )
        options.show(text, {"file": str(built.file)}, as_json=as_json, format_name=format_name)
        return
    text = f"{built.file} is built. What went in: wholecard image show {built.file}"
    if output is None:
        text += "\nUpload it: wholecard cloud plan, then wholecard cloud apply"
    if built.not_looked_at:
        text += f"\nIts drivers were not looked at: {built.not_looked_at}."
    if built.findings:
        text += f"\n\n{findings_text(built.findings)}"
    findings = [finding.to_json() for finding in built.findings]
    answer = {"file": str(built.file), "record": asdict(built.record), "findings": findings,
              "not_looked_at": built.not_looked_at}  # fmt: skip
    options.show(text, answer, as_json=as_json, format_name=format_name)
    raise typer.Exit(exit_status(built.findings))


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(
        metavar="FILE|NAME", help="A built image's file, or an image of the site file.")],
    site: options.SiteFile = Path("site.yaml"),
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Show what went into a built image, and whether the file is still that image.

    For an image of the site file also whether the site file asks for something else today.
    """
    from dataclasses import asdict

    from wholecard.core import exit_status
    from wholecard.core.report_text import findings_text, terminal_width
    from wholecard.guest.image.build_record import record_lines
    from wholecard.guest.image.built_image import inspect_built

    request = None if Path(name).is_file() else _request(site, name, None)
    built = inspect_built(Path(name) if request is None else request.output, request)
    told = findings_text(built.findings, terminal_width())
    text = f"{record_lines(built.record)}\n\n{told}"
    findings = [finding.to_json() for finding in built.findings]
    answer = {"file": str(built.file), "record": asdict(built.record), "findings": findings}
    options.show(text, answer, as_json=as_json, format_name=format_name)
    raise typer.Exit(exit_status(built.findings))


def _asked(
    site: Path, name: str, output: Path | None, writer: str, on_boot: bool
) -> tuple[BuildRequest, Choice]:
    from dataclasses import replace

    from wholecard.core import UsageError
    from wholecard.guest.image.build_plan import choose_writer
    from wholecard.guest.image.writers import WRITERS

    if on_boot and writer not in ("", "cloud-config"):
        raise UsageError(
            f"--on-boot and --writer {writer} contradict each other",
            resolution="With --on-boot the writer is cloud-config.",
        )
    on_boot = on_boot or writer == "cloud-config"
    request = _request(site, name, output)
    if on_boot and output is None:
        request = replace(request, output=request.output.with_suffix(".user-data"))
    return request, choose_writer(request, WRITERS, writer, on_boot=on_boot)


def _request(site: Path, name: str, output: Path | None) -> BuildRequest:
    from wholecard.site.build_requests import build_request
    from wholecard.site.load import read_site

    file = read_site(site)
    absolute = None if output is None else output.absolute()
    return build_request(file.site, name, file.path.parent, absolute)
