"""Times an ONNX file: ``python bench_onnx.py MODEL [--threads 1] [--repeats 25]`` prints milliseconds, one forward a line.

Needs numpy and onnxruntime and nothing of ``automl``, so the file can be copied to another device as it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

__all__ = ["main"]

_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Times the file that the arguments name. Inputs are noise; integers are zero, which is an index that always exists."""
    import numpy as np
    import onnxruntime

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--warmup", type=int, default=5)
    options = parser.parse_args(arguments)

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {}
    for given in session.get_inputs():
        kind = _TYPES.get(given.type, "bool")
        shape = [size if isinstance(size, int) else 1 for size in given.shape]
        feeds[given.name] = (rng.random(shape) if kind.startswith("float") else np.zeros(shape)).astype(kind)
    for number in range(options.warmup + options.repeats):
        start = time.perf_counter()
        session.run(None, feeds)
        if number >= options.warmup:
            print(f"{1e3 * (time.perf_counter() - start):.6f}")


if __name__ == "__main__":
    main()
