"""Settings for the whole suite."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    deadline=None,
    max_examples=int(os.environ.get("AUTOML_HYPOTHESIS_EXAMPLES", "60")),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _one_thread_each(request: pytest.FixtureRequest) -> None:
    """Workers of a parallel test run share few cores; more threads than cores only wait for each other."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


_SERVER = """
import gc, importlib, json, multiprocessing, os, sys
from automl_cli.main import main
LIBRARIES = ["torch._dynamo", "torch.export", "lightning_fabric", "torchmetrics", "optuna", "plotly", "matplotlib.figure"]
LIBRARIES += ["scipy.optimize", "scipy.stats", "sklearn.gaussian_process", "torch_geometric", "onnxscript"]
LIBRARIES += ["automl.job.run", "automl.assembling.customise", "automl.stitching.job", "automl.blockwise", "automl.export"]
for library in [*LIBRARIES, "automl_vision", "automl_graph.tasks"]:
    try:
        importlib.import_module(library)
    except ImportError:  # an extra that is not installed
        pass
gc.collect()
gc.freeze()  # a collection in a child would copy the memory that it shares with this process
def command(folder, arguments, environment, log):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv[:] = ["automl", *arguments]
    main()
for line in sys.stdin:
    child = multiprocessing.get_context("fork").Process(target=command, args=json.loads(line))
    child.start()
    os.write(1, b"%d\\n" % child.pid)
    child.join()
    os.write(1, b"%d\\n" % child.exitcode)
"""


class ForkedCommands:
    """Runs commands, one after the other, each in a forked process, so that importing the libraries is paid for once.

    A fresh process spends five to eight seconds of processor time in imports, often more than in what a test asks of it. The
    arguments, folder, environment, output, signals and exit code of a child are those of a fresh process, and no child sees
    what another left in memory. Cold starts are the subject of ``tests/cli/test_startup.py``.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._child = 0

    def start(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Starts ``automl`` with these arguments.

        Args:
            folder: where the command runs; its output is appended to ``log`` therein.
            arguments: the command line without the name of the program.
            environment: variables besides those of this process.
        """
        if self._child:  # of a test that gave up waiting
            self.kill()
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        assert self._server.stdin is not None
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        request = [str(folder), list(arguments), variables, str(folder / "log")]
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._child = self._number()

    def running(self) -> bool:
        """Tells whether the command that was started last still runs."""
        assert self._server is not None
        return not select.select([self._server.stdout], [], [], 0)[0]

    def code(self) -> int:
        """Waits for the command and returns how it ended: its exit code, or minus the signal that killed it."""
        code = self._number()
        self._child = 0
        return code

    def kill(self) -> int:
        """Kills the command with a signal that it cannot catch; returns how it ended, 0 where it was done before."""
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        return self.code()

    def run(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Runs a command that must succeed."""
        self.start(folder, arguments, environment)
        assert self.code() == 0, f"automl {' '.join(arguments)}\n{(folder / 'log').read_text()}"

    def close(self) -> None:
        """Ends the server."""
        if self._server is not None:
            self._server.communicate()

    def _number(self) -> int:
        assert self._server is not None
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


@pytest.fixture(scope="session")
def commands() -> Iterator[ForkedCommands]:
    """Returns what runs ``automl`` in processes of their own, without the price of fresh ones."""
    forked = ForkedCommands()
    yield forked
    forked.close()
