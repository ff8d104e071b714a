"""What a plan writes under `deployment`. Values only."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from engine.routers.kube_config import Addresses, KubeConfig, ObjectName


class DeploymentConfig(KubeConfig):
    """One Deployment whose rolling update is watched: its pods are replaced by Kubernetes, and nothing is moved."""

    vitals: ClassVar[tuple[str, ...]] = ("restarts", "oom_kills", "unready")
    only_watched: ClassVar[bool] = True
    unwise: ClassVar[tuple[str, ...]] = (
        "a rolling update is only watched, start it with --observe; a second Deployment can be given traffic in steps",
    )

    name: ObjectName = Field(description="The Deployment's name.")
    addresses: Addresses = Field(default=Addresses(), description="Where both sides and the public entrance answer.")
