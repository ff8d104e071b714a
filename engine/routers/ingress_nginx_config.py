"""What a plan writes under `ingress_nginx`. Values only."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from engine.plan.fields import Name
from engine.routers.kube_config import ObjectName, PairConfig, two_sides


class IngressNginxConfig(PairConfig):
    """Two Ingresses of ingress-nginx, which is retired: the second one's annotations say what share it gets."""

    unwise: ClassVar[tuple[str, ...]] = (
        "ingress-nginx is retired since March 2026 and gets no security fixes: move to the Gateway API (gateway_api)",
    )

    ingress: ObjectName = Field(description="The Ingress that users reach.")
    canary_ingress: ObjectName = Field(
        description="The Ingress of the same hosts and paths that is marked as a canary."
    )
    stable: Name = Field(description="The Service of the version that serves when the release starts.")
    canary: Name = Field(description="The Service of the new version.")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        two_sides(self.stable, self.canary, "Service")
        return self
