"""The command as a person or a script runs it, on the processor."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wholecard_bench import cli
from wholecard_bench.errors import NoDeviceError
from wholecard_bench.nbody import registry
from wholecard_bench.nbody.bodies import Array
from wholecard_bench.nbody.numba_backend import NumbaBackend, NumbaSystem

SMALL = ["nbody", "--backend", "numba", "--num-bodies", "512"]


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.run(words)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ([], r"= \d+\.\d{3} single-precision GFLOP/s at 20 flops per interaction"),
        (["--fp64"], r"= \d+\.\d{3} double-precision GFLOP/s at 20 flops per interaction"),
    ],
)
def test_last_line_is_the_samples(
    options: list[str], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script for NVIDIA's sample reads this; in double precision its 30 flops come first."""
    status, out, err = _run(capsys, *SMALL, "--benchmark", "--iterations", "3", *options)
    assert (status, err) == (0, "")
    assert re.fullmatch(last, out.splitlines()[-1])
    assert ("at 30 flops per interaction" in out) is bool(options)


def test_options_of_the_sample(capsys: pytest.CaptureFixture[str]) -> None:
    """`-benchmark -numbodies=N -numdevices=N -fp64 -i=N` mean the same."""
    words = ["-benchmark", "-numbodies=300", "-numdevices=1", "-fp64", "-i=2"]
    status, out, _ = _run(capsys, "nbody", "--backend", "numba", *words)
    assert status == 0
    assert "300 bodies, total time for 2 iterations" in out


def test_json_has_check_and_speed(capsys: pytest.CaptureFixture[str]) -> None:
    """One object, with what was checked, the bounds, and each device's share."""
    devices = min(2, len(os.sched_getaffinity(0)))
    words = ["--benchmark", "--iterations", "3", "--num-devices", str(devices), "--json"]
    status, out, _ = _run(capsys, *SMALL, *words)
    document = json.loads(out)
    assert status == 0
    assert document["check"]["passed"] is True
    assert document["check"]["error"]["bound"] == 1e-5
    assert document["check"]["energy"]["bound"] == 1e-6
    assert document["speed"]["iterations"] == 3
    assert sum(device["bodies"] for device in document["devices"]) == 512
    assert len(document["speed"]["devices"]) == devices


def test_without_benchmark_nothing_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """The check alone: error and energy."""
    status, out, _ = _run(capsys, *SMALL)
    assert status == 0
    assert "against float64, 96 bodies" in out
    assert "GFLOP" not in out


class _WrongSystem(NumbaSystem):
    def accelerations(self) -> Array:
        return np.asarray(super().accelerations() * 1.001)


class _WrongBackend(NumbaBackend):
    system_class = _WrongSystem


def test_wrong_result_is_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that computes an error of 0.1 % is not passed over."""
    monkeypatch.setitem(registry.BACKENDS, "numba", _WrongBackend)
    status, out, _ = _run(capsys, *SMALL)
    assert status == 1
    assert re.search(r"largest error 1\.0e-03.*: WRONG", out)


@pytest.mark.parametrize(
    ("words", "status", "brief"),
    [
        (["--num-devices", "100000"], 2, "too few for 100000 devices"),
        (["--num-bodies", "1"], 2, "1 bodies are too few for 1 devices"),
        (["--plot", "orbits.jpg"], 2, "orbits.jpg does not end in .png"),
        (["--plot", "no/such/folder/orbits.png"], 2, "There is no folder no/such/folder"),
    ],
)
def test_wrong_usage(
    words: list[str], status: int, brief: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is computed, with what to do."""
    got, out, err = _run(capsys, *SMALL, *words)
    assert (got, out) == (status, "")
    assert brief in err
    assert "Resolution: " in err


@pytest.mark.parametrize(
    "words", [["--num-bodies", "0"], ["--iterations", "x"], ["--backend", "?"]]
)
def test_values_that_are_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's own status and message."""
    with pytest.raises(SystemExit) as ended:
        cli.run([*SMALL, *words])
    assert ended.value.code == 2
    assert "error: argument" in capsys.readouterr().err


def test_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a program reads the error, from stderr."""
    status, out, err = _run(capsys, *SMALL, "--num-devices", "100000", "--json")
    assert (status, out) == (2, "")
    assert set(json.loads(err)["error"]) == {"brief", "details", "resolution"}


def _missing() -> NumbaBackend:
    raise NoDeviceError("it is not there")


def test_choice_says_what_was_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest whose card has no driver learns that the processor computed, and why."""
    monkeypatch.setattr(registry, "ORDER", (_missing, NumbaBackend))
    backend, reasons = registry.choose_backend(None)
    assert (backend.name, reasons) == ("numba", ("it is not there",))


def test_no_backend_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reason is listed, and what to install."""
    monkeypatch.setattr(registry, "ORDER", (_missing, _missing))
    with pytest.raises(NoDeviceError) as failed:
        registry.choose_backend(None)
    assert failed.value.details == "it is not there\nit is not there"
    assert "pip install" in failed.value.resolution


def test_cuda_without_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    """Library, driver or card: the message names what is missing."""
    status, _, err = _run(capsys, "nbody", "--backend", "cuda", "--num-bodies", "64")
    if status == 0:
        pytest.skip("this machine has a card")
    assert status == 3
    assert err.startswith("error: CUDA's driver")
    assert "Resolution: " in err


def test_plot_shows_both_clusters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture of 1,080 x 1,080 with points of both colours."""
    path = tmp_path / "orbits.png"
    assert _run(capsys, *SMALL, "--plot", str(path))[0] == 0
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (1080, 1080, 3)
    assert (pixels[:, :, 0] > pixels[:, :, 2] + 80).sum() > 1000
    assert (pixels[:, :, 2] > pixels[:, :, 0] + 80).sum() > 1000
