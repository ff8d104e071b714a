"""What a plan writes under the names of routers whose traffic another controller moves. Values only."""

from __future__ import annotations

import shlex
from typing import ClassVar

from pydantic import Field

from engine.plan.fields import Line, Name
from engine.routers.config import Finish, RouterConfig


class OwnedConfig(RouterConfig):
    """An object on Kubernetes whose controller moves the traffic: laneshift judges, and tells it to go on or back."""

    finishes: ClassVar[frozenset[Finish]] = frozenset({"handover"})
    holds: ClassVar[bool] = True
    rehearses: ClassVar[bool] = True

    namespace: Name = Field(description="The namespace it is in.")
    context: Line | None = Field(default=None, description="The kubeconfig's context; by default its current one.")
    kubeconfig: Line | None = Field(
        default=None, description="Its path; by default $KUBECONFIG, ~/.kube/config, or the pod's own account."
    )


class ArgoRolloutsConfig(OwnedConfig):
    """A Rollout of Argo Rollouts, with a stop after each of the plan's weights."""

    rollout: Name = Field(description="The Rollout's name.")


def kubectl(config: OwnedConfig) -> str:
    """kubectl as a person would call it for this cluster and namespace."""
    where = {"--kubeconfig": config.kubeconfig, "--context": config.context, "--namespace": config.namespace}
    return " ".join(["kubectl", *(f"{flag}={shlex.quote(value)}" for flag, value in where.items() if value)])
