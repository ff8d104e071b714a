"""What a plan writes under `istio`. Values only."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from engine.plan.fields import Line, Name
from engine.routers.kube_config import ObjectName, PairConfig, two_sides


class IstioConfig(PairConfig):
    """A VirtualService of Istio: two destinations, Services or subsets of one, share one HTTP rule's traffic."""

    virtual_service: ObjectName = Field(description="The VirtualService's name.")
    rule: Line | None = Field(
        default=None, description="The name of the rule in spec.http; needed when several have both destinations."
    )
    host: Name | None = Field(
        default=None, description="The Service whose subsets the two sides are; without it they are Services."
    )
    stable: Name = Field(description="The subset or Service of the version that serves when the release starts.")
    canary: Name = Field(description="The subset or Service of the new version.")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        two_sides(self.stable, self.canary, "subset" if self.host else "Service")
        return self
