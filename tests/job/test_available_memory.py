"""The memory that is left, as the kernel tells it."""

from __future__ import annotations

from pathlib import Path

from automl.job.available_memory import available_memory


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_machine_tells_what_is_available(tmp_path: Path) -> None:
    _write(tmp_path, {"proc/meminfo": "MemTotal:  900 kB\nMemFree: 30 kB\nMemAvailable:     70 kB\n"})
    assert available_memory(tmp_path) == 70 * 1024


def test_a_control_group_with_less_decides_and_its_file_pages_count_as_free(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory."
    _write(tmp_path, {"proc/meminfo": "MemAvailable: 70 kB\n", f"{group}max": "5000\n", f"{group}current": "4100\n"})
    assert available_memory(tmp_path) == 900
    _write(tmp_path, {f"{group}stat": "anon 4000\ninactive_file 60\n"})
    assert available_memory(tmp_path) == 960


def test_a_control_group_without_a_limit_changes_nothing(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory."
    _write(tmp_path, {"proc/meminfo": "MemAvailable: 70 kB\n", f"{group}max": "max\n", f"{group}current": "4100\n"})
    assert available_memory(tmp_path) == 70 * 1024


def test_a_control_group_of_the_first_version_is_read(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/memory."
    _write(tmp_path, {f"{group}limit_in_bytes": "5000\n", f"{group}usage_in_bytes": "4700\n"})
    assert available_memory(tmp_path) == 300


def test_a_system_that_tells_nothing_gives_no_limit(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
