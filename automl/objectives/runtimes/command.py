"""A device that is reached by a command: a phone, a board, another machine."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

from pydantic import BaseModel
from torch import Tensor, nn

from automl.errors import AutomlError
from automl.objectives.runtimes.command_options import CommandOptions
from automl.objectives.runtimes.onnx_conversion import to_onnx
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.trace import Trace

__all__ = ["Command", "read_milliseconds"]

_LOCAL: Final = (sys.executable, "-m", "automl.objectives.runtimes.bench_onnx", "{model}", "--threads", "{threads}")


@final
class Command(Runtime):
    """Hands an ONNX file to a command and reads back milliseconds; timing, warm-up and pinning are the device's business.

    The network is exported with the shapes that it is measured with, so the device needs to know nothing else. The command
    is run without a shell, once for each measurement, and prints one number for each timed forward, each on its own line,
    or one JSON list of numbers. A command that fails, takes too long or prints anything else fails the network.

    Args:
        command: program with its arguments; see ``CommandOptions``. Left out: ``bench_onnx`` in a process of its own.
        timeout: seconds for one network.
    """

    name: ClassVar[str] = "command"
    distributions: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript")
    elsewhere: ClassVar[bool] = True
    options_model: ClassVar[type[BaseModel]] = CommandOptions

    def __init__(self, *, command: str = "", timeout: float = 120.0) -> None:
        self._command: Final = command
        self._words: Final = shlex.split(command) or list(_LOCAL)
        self._timeout: Final = timeout

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], list[float]]:
        fixed = Trace(tuple(inputs), trace().names, tuple({} for _ in inputs))
        content = to_onnx(model, fixed).SerializeToString()
        batch = len(inputs[0])

        def session() -> list[float]:
            with tempfile.TemporaryDirectory(prefix="automl-model-") as folder:
                path = Path(folder) / "model.onnx"
                path.write_bytes(content)
                values = {"{model}": str(path), "{threads}": str(threads), "{batch}": str(batch)}
                words = [_filled(word, values) for word in self._words]
                given = None if any("{model}" in word for word in self._words) else content
                return [1e-3 * ms for ms in read_milliseconds(_output(words, given, self._timeout))]

        return session

    def facts(self) -> dict[str, Any]:
        return {"command": self._command or "bench_onnx in a process here"}


def read_milliseconds(text: str) -> list[float]:
    r"""Returns the numbers that a command printed.

    Args:
        text: one number a line, or one JSON list of numbers.

    Raises:
        AutomlError: there is no number, something that is none, or one that is no time.

    Example:
        >>> read_milliseconds("1.5\n2\n"), read_milliseconds("[1.5, 2]")
        ([1.5, 2.0], [1.5, 2.0])
    """
    stripped = text.strip()
    try:
        found = json.loads(stripped) if stripped.startswith("[") else [float(line) for line in stripped.split("\n")]
        times = [float(number) for number in found if not isinstance(number, bool)]
    except (ValueError, TypeError):
        times, found = [], [None]
    if not times or len(times) != len(found) or not all(math.isfinite(ms) and ms > 0 for ms in times):
        raise AutomlError(
            f"the command printed {stripped[:200]!r}; expected milliseconds above zero: one number a line, or one JSON "
            "list of numbers, and nothing else on standard output."
        )
    return times


def _filled(word: str, values: dict[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def _output(words: Sequence[str], given: bytes | None, timeout: float) -> str:
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise AutomlError(f"the command {words[0]!r} cannot be started: {error.strerror or error}.") from error
    try:
        output, errors = process.communicate(given, timeout=timeout)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise AutomlError(f"the command {words[0]!r} took longer than {timeout:g} s and was ended.") from error
        raise
    if process.returncode:
        lines = errors.decode(errors="replace").strip().splitlines()
        said = f": {lines[-1][:300]}" if lines else "."
        raise AutomlError(f"the command {words[0]!r} ended with exit code {process.returncode}{said}")
    return output.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a command together with what it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
