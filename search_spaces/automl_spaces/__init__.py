"""Shared search spaces as YAML files, one folder for each input signal."""

__all__: list[str] = []
