"""Plans that run as they are, on the embedded sandbox."""

from __future__ import annotations

from pathlib import Path


def path(name: str) -> Path:
    """Where the plan of this name is, such as `sandbox.yaml`. Raises FileNotFoundError, which says what there is."""
    folder = Path(__file__).parent
    plans = sorted(plan.name for plan in folder.glob("*.yaml"))
    if name not in plans:
        raise FileNotFoundError(f"no sample plan {name}; there is {', '.join(plans)}")
    return folder / name
