"""Runtimes beyond torch and ONNX Runtime: commands, compilation, and what their options and failures say."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl.errors import AutomlError, ConfigError, MissingExtraError
from automl.host import Host
from automl.objectives import Candidate, Latency, Value, build_objective
from automl.objectives.runtimes import Command, Compile
from automl.objectives.runtimes.bench_onnx import main as bench
from automl.objectives.runtimes.command import read_milliseconds
from automl.objectives.runtimes.onnx_conversion import to_onnx

Make = Callable[..., Candidate]


def _script(folder: Path, text: str) -> str:
    path = folder / "a script.py"  # the blank must not split the command
    path.write_text(text)
    return shlex.join([sys.executable, str(path)])


def _latency(command: str, **options: Any) -> Latency:
    return Latency(runtime=Command(command=command, **options), mode="measured", batch_size=2, threads=3)


def test_a_command_gets_a_file_of_fixed_shape_and_numbers(candidate: Make, tmp_path: Path) -> None:
    command = _script(
        tmp_path,
        "import sys, onnx\n"
        "shape = onnx.load(sys.argv[1]).graph.input[0].type.tensor_type.shape.dim\n"
        "assert sys.argv[2] == '--t=3' and sys.argv[3] == '2', sys.argv\n"
        "print('\\n'.join(str(d.dim_value) for d in shape))\n",
    )
    value = _latency(f"{command} {{model}} --t={{threads}} {{batch}}").measure(candidate())
    assert value.value == 5.0  # the median of 2, 1, 8 and 8
    assert (value.low, value.high) == (1.0, 8.0)
    assert value.context["command"].endswith("{batch}")
    assert (value.context["repeats"], value.context["interleaved"]) == (4, 1)


def test_without_a_place_for_the_file_it_comes_on_standard_input(candidate: Make, tmp_path: Path) -> None:
    command = _script(
        tmp_path,
        "import sys, onnx\nprint([len(onnx.load_from_string(sys.stdin.buffer.read()).graph.input), 1.0])\n",
    )
    assert _latency(command).measure(candidate()).value == 1.0


def test_nothing_of_a_command_reaches_a_shell(candidate: Make, tmp_path: Path) -> None:
    command = _script(tmp_path, "import sys\nprint(float(sys.argv[1:] == ['$(touch oops)', ';', 'true']) + 1)\n")
    assert _latency(f"{command} '$(touch oops)' ; true").measure(candidate()).value == 2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit('no device found')", "ended with exit code 1: no device found"),
        ("print('fast')", "printed 'fast'; expected milliseconds"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_what_a_command_does_wrong_fails_its_network_alone(
    candidate: Make, tmp_path: Path, text: str, message: str
) -> None:
    latency = _latency(_script(tmp_path, text), timeout=1.0)
    (result,) = latency.measure_group([candidate()])
    assert isinstance(result, AutomlError)
    assert message in str(result)


def test_a_command_that_is_not_there_is_named(candidate: Make) -> None:
    with pytest.raises(AutomlError, match="'no-such-program' cannot be started"):
        _latency("no-such-program {model}").measure(candidate())


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_a_timeout_ends_what_the_command_started_as_well(candidate: Make, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    inner = f"import time, pathlib; time.sleep(2.5); pathlib.Path({str(alive)!r}).touch()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with pytest.raises(AutomlError, match="took longer"):
        _latency(_script(tmp_path, outer), timeout=1.0).measure(candidate())
    time.sleep(2.5)
    assert not alive.exists()


@pytest.mark.parametrize(
    "text", ["", "  ", "1.5 ms", "1\n-2", "nan", "inf", "0", "[]", "[1, null]", "[true]", "[[1]]", "{}", "[1"]
)
def test_output_that_is_no_list_of_times_is_refused(text: str) -> None:
    with pytest.raises(AutomlError, match="expected milliseconds above zero"):
        read_milliseconds(text)


def test_the_bench_program_prints_one_time_for_each_forward(
    candidate: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = candidate()
    (tmp_path / "model.onnx").write_bytes(to_onnx(subject.model, subject.trace()).SerializeToString())
    bench([str(tmp_path / "model.onnx"), "--repeats", "4"])
    assert len(read_milliseconds(capsys.readouterr().out)) == 4
    source = Path(sys.modules[bench.__module__].__file__ or "").read_text()
    assert "import automl" not in source
    assert "from automl" not in source


def test_a_batch_and_the_default_command_work_together(candidate: Make) -> None:
    value = Latency(runtime=Command(), mode="measured", batch_size=3).measure(candidate())
    assert 0 < value.value < 1000
    assert value.context["repeats"] == 25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"command": "bench {modle}"}, "unknown placeholder {modle}; valid: {model}, {threads}, {batch}"),
        ({"command": "bench 'x"}, "quotes do not match"),
        ({"timeout": 0}, "timeout: 0 is not valid"),
        ({"comand": "x"}, "unknown option 'comand'. Did you mean 'command'"),
    ],
)
def test_options_of_a_runtime_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_objective(Host.load(entry_points=False), "latency", {"runtime": "command", "runtime_options": options})
    assert message in str(caught.value)
    assert "runtime_options" in str(caught.value)


def test_a_runtime_without_options_takes_none() -> None:
    with pytest.raises(ConfigError, match="unknown option 'threads'"):
        build_objective(Host.load(entry_points=False), "latency", {"runtime_options": {"threads": 2}})


def test_compiled_networks_compute_the_same_and_share_no_code_limit(
    candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[nn.Module] = []

    def compiled(module: nn.Module, **options: Any) -> nn.Module:
        assert options == {"fullgraph": True, "dynamic": False}
        seen.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compiled)
    subjects = [candidate() for _ in range(3)]
    for subject in subjects:
        inputs = subject.example_inputs(2)
        Compile().prepare(subject.model, inputs, threads=1, trace=subject.trace)()
        np.testing.assert_allclose(seen[-1](*inputs).detach(), subject.model(*inputs).detach(), rtol=1e-6)
    assert len({type(module).forward for module in seen}) == 3


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("No working C++ compiler found in CXX", "needs a C\\+\\+ compiler that works, such as g\\+\\+"),
        ("something else\nand more", "torch.compile failed: RuntimeError: something else$"),
    ],
)
def test_compilation_that_fails_is_one_clear_line(
    candidate: Make, monkeypatch: pytest.MonkeyPatch, raised: str, message: str
) -> None:
    def broken(module: nn.Module, **_: Any) -> Callable[..., None]:
        def call(*_: Any) -> None:
            raise RuntimeError(raised)

        return call

    monkeypatch.setattr(torch, "compile", broken)
    subject = candidate()
    with pytest.raises(AutomlError, match=message):
        Compile().prepare(subject.model, subject.example_inputs(1), threads=1, trace=subject.trace)


def test_openvino_that_is_missing_says_how_to_get_it() -> None:
    record = Host.load(entry_points=False).find("runtime", "openvino")
    if not record.missing():
        pytest.skip("openvino is installed; the kit tests it")
    with pytest.raises(MissingExtraError, match=r"pip install 'automl-supernets\[openvino\]'"):
        record.load()


def test_the_bench_program_runs_from_its_file_alone(candidate: Make, tmp_path: Path) -> None:
    subject = candidate()
    model = tmp_path / "model.onnx"
    model.write_bytes(to_onnx(subject.model, subject.trace()).SerializeToString())
    copy = tmp_path / "bench.py"
    copy.write_text(Path(sys.modules[bench.__module__].__file__ or "").read_text())
    words: Sequence[str] = [sys.executable, str(copy), str(model), "--repeats", "3"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(read_milliseconds(done.stdout)) == 3


def test_values_measured_elsewhere_are_values(candidate: Make, tmp_path: Path) -> None:
    results = _latency(_script(tmp_path, "print(3)")).measure_group([candidate(), candidate()])
    assert all(isinstance(result, Value) and result.value == 3 for result in results)
