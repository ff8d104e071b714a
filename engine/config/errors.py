"""What is raised of the engine's configuration."""

from __future__ import annotations


class EngineConfigError(Exception):
    """The engine's configuration is wrong, or does not allow what a plan asks for; the message says what to do."""
