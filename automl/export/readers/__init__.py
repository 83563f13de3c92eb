"""Scripts that read exported files as their users do: by path, in a fresh interpreter, without this library."""

__all__: list[str] = []
