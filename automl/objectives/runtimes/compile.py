"""Compile: the model as ``torch.compile`` makes it for this processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from automl.errors import AutomlError
from automl.objectives.inference_copy import inference_copy
from automl.objectives.quiet import quiet
from automl.objectives.runtimes.runtime import Runtime
from automl.objectives.timing import flushed_denormals
from automl.objectives.trace import Trace

__all__ = ["Compile"]

_NO_COMPILER = ("InvalidCxxCompiler", "No working C++ compiler", "CppCompileError")


@final
class Compile(Runtime):
    """Compiles the whole network by TorchInductor for the shapes that it is measured with.

    Blocks are fused with their neighbours, so nothing can be timed inside: their times are fitted to whole networks.
    """

    name: ClassVar[str] = "compile"
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        # torch.compile keeps few versions of one piece of code and then gives up in silence. All candidates share the code
        # of their classes; a traced program has code of its own.
        fixed = Trace(tuple(inputs), trace().names, tuple({} for _ in inputs))
        program = fixed.program(inference_copy(model)).module()
        compiled = torch.compile(program, fullgraph=True, dynamic=False)

        def session() -> None:
            with torch.inference_mode():
                compiled(*inputs)

        before = torch.get_num_threads()
        torch.set_num_threads(threads)  # the compiler writes it into the code
        try:
            with quiet(), flushed_denormals():
                session()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if any(mark in text for mark in _NO_COMPILER):
                raise AutomlError(
                    "the runtime 'compile' needs a C++ compiler that works, such as g++ or clang++; install one, or name it "
                    "in the environment variable CXX."
                ) from error
            raise AutomlError(f"torch.compile failed: {text.splitlines()[0]}") from error
        finally:
            torch.set_num_threads(before)
        return session
