from __future__ import annotations

import subprocess
import sys


def test_searching_imports_neither_torch_nor_supernets() -> None:
    script = (
        "import sys; sys.path[:] = " + repr(sys.path) + "\n"
        "import automl.search, automl.search.driver\n"
        "from automl.search import *\n"
        "bad = [m for m in sys.modules if m.split('.')[0] == 'torch' or m.startswith('automl.supernet')]\n"
        "sys.exit(', '.join(bad) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
