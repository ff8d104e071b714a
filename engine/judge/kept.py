"""The state of a test as JSON values: the attributes its class names in `KEPT`, nothing else."""

from __future__ import annotations

from typing import Any


def keep(test: Any) -> dict[str, Any]:
    """The named attributes; parts that have a `KEPT` of their own are kept in depth."""
    return {name: _plain(getattr(test, name)) for name in type(test).KEPT}


def restore(test: Any, state: dict[str, Any]) -> None:
    """Put back what `keep` took, into a freshly made test of the same rules."""
    for name, value in state.items():
        part = getattr(test, name)
        if hasattr(type(part), "KEPT") and value is not None:
            restore(part, value)
        else:
            setattr(test, name, value)


def _plain(value: Any) -> Any:
    if hasattr(type(value), "KEPT"):
        return keep(value)
    return list(value) if isinstance(value, list) else value
