"""The command. argparse, because a guest installs this package alone, often without a network."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholecard_bench import __version__
from wholecard_bench.errors import BenchError, UsageError
from wholecard_bench.nbody.kernel import Precision

EPILOG = "Exit status: 0 all is well, 1 a result is wrong, 2 wrong usage, 3 something broke."


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the process was called with, and end the process."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run it; the exit status. Errors go to stderr, with --json as an object."""
    options = parser().parse_args(argv)
    try:
        status: int = options.run(options)
    except BenchError as error:
        if options.json:
            print(json.dumps({"error": error.to_json()}, indent=2), file=sys.stderr)
        else:
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 3  # whoever read it has ended
    return status


def parser() -> argparse.ArgumentParser:
    """All options; their help is the documentation's."""
    top = argparse.ArgumentParser(
        prog="wholecard-bench", description="What the cards of a guest can do.", epilog=EPILOG
    )
    top.add_argument("--version", action="version", version=f"wholecard-bench {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _nbody_options(
        commands.add_parser(
            "nbody",
            help="gravitation of all pairs: right against float64, and how fast",
            description="Bodies that attract each other, on one device or more. Without "
            "--benchmark the results are checked only.",
            epilog=EPILOG,
        )
    )
    _bandwidth_options(
        commands.add_parser(
            "bandwidth",
            help="copies between host and device, within a device and between devices",
            description="Copies between host and device, within a device, and between devices.",
            epilog=EPILOG,
        )
    )
    return top


def _common(parser: argparse.ArgumentParser, backends: tuple[str, ...]) -> None:
    parser.add_argument(
        "--num-devices", "-numdevices", type=_positive, metavar="N", help="how many (default: 1)"
    )
    parser.add_argument(
        "--backend", choices=backends, help="default: the first that can be used here"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _nbody_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", "-benchmark", action="store_true", help="measure the speed")
    parser.add_argument(
        "--num-bodies", "-numbodies", type=_positive, default=65536, metavar="N",
        help="how many (default: 65536)",
    )  # fmt: skip
    parser.add_argument("--fp64", "-fp64", action="store_true", help="double precision")
    parser.add_argument(
        "--iterations", "-i", type=_positive, default=10, metavar="N",
        help="steps that are timed (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the orbits of two clusters that meet, as PNG",
    )
    _common(parser, ("cuda", "opencl", "numba"))
    parser.set_defaults(run=_nbody)


def _bandwidth_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", type=_positive, default=256, metavar="MIB", help="of a copy (default: 256)"
    )
    _common(parser, ("cuda", "opencl"))
    parser.set_defaults(run=_bandwidth)


def _positive(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 0 < int(word) < 2**31:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 1 to 2147483647")
    return int(word)


def _nbody(options: argparse.Namespace) -> int:
    from wholecard_bench.nbody import benchmark, report
    from wholecard_bench.nbody.registry import choose_backend

    if options.plot is not None:
        _check_plot(options.plot)
    backend, reasons = choose_backend(options.backend)
    precision = Precision.DOUBLE if options.fp64 else Precision.SINGLE
    devices = options.num_devices or 1
    result = benchmark.run(
        backend,
        bodies=options.num_bodies,
        devices=devices,
        precision=precision,
        iterations=options.iterations if options.benchmark else None,
    )
    if options.plot is not None:
        from wholecard_bench.nbody.plot import draw_orbits

        draw_orbits(backend, devices, precision, options.plot)
    if options.json:
        _print_json(report.to_json(result) | {"not_used": list(reasons)})
    else:
        for reason in reasons:
            print(f"not used: {reason}")
        print(report.text(result))
    return 0 if result.check.passed else 1


def _bandwidth(options: argparse.Namespace) -> int:
    from wholecard_bench import bandwidth

    result = bandwidth.run(options.backend, options.num_devices, options.size)
    if options.json:
        _print_json(bandwidth.to_json(result))
    else:
        print(bandwidth.text(result))
    return 0


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))


def _check_plot(path: Path) -> None:
    """Before minutes of work: can the picture be drawn, and written there?"""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BenchError(
            "--plot needs matplotlib", str(error), "Install it: pip install 'wholecard-bench[plot]'"
        ) from error
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} does not end in .png", resolution="Use --plot orbits.png")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}", resolution="Make it, or use another")
