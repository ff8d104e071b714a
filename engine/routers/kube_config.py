"""What a plan writes under the names of routers that work on Kubernetes. Values only."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from engine.plan.fields import Line, Name, Text, Url
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.units import NotUnderstoodError
from engine.routers.config import Finish, RouterConfig, Scale

OBJECT_PATTERN: Final = r"^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$"


def _object_name(written: str) -> str:
    if not re.fullmatch(OBJECT_PATTERN, written):
        raise NotUnderstoodError("the name of an object of Kubernetes, such as checkout or shop.example.com")
    return written


def _own_file(written: str) -> str:
    """A file of the engine's machine, never one that comes with a plan: it may name programs to run."""
    if not written.startswith(("/", "~/")):
        raise NotUnderstoodError("a whole path on the engine's machine, such as ~/.kube/config")
    return written


ObjectName = Annotated[Text, AfterValidator(_object_name), Field(json_schema_extra={"pattern": OBJECT_PATTERN})]
OwnFile = Annotated[Line, AfterValidator(_own_file)]


class Addresses(PlanPart):
    """Where each side answers, for checks and journeys; needed where the engine is not in the cluster."""

    canary: Url | None = Field(default=None, description="The canary by itself.")
    stable: Url | None = Field(default=None, description="Stable by itself.")
    public: Url | None = Field(default=None, description="What users ask.")

    def given(self) -> dict[str, str]:
        """Those that the plan says."""
        return {side: str(url) for side, url in self.model_dump(exclude_none=True).items()}


class KubeConfig(RouterConfig):
    """How a router reaches its cluster."""

    namespace: Name = Field(description="The namespace of all that is named here.")
    context: Line | None = Field(default=None, description="The context of the kubeconfig; its current one if missing.")
    kubeconfig: OwnFile | None = Field(
        default=None, description="The kubeconfig; if missing $KUBECONFIG, ~/.kube/config, or the pod's own account."
    )


class PairConfig(KubeConfig):
    """Two sides on Kubernetes, with a workload behind each."""

    finishes: ClassVar[frozenset[Finish]] = frozenset({"swap", "copy"})
    holds: ClassVar[bool] = True
    rehearses: ClassVar[bool] = True
    vitals: ClassVar[tuple[str, ...]] = ("restarts", "oom_kills", "unready")

    stable_workload: ObjectName | None = Field(
        default=None, description="The Deployment or StatefulSet behind stable; found by the Service's selector."
    )
    canary_workload: ObjectName | None = Field(default=None, description="The same of the canary.")
    scale: Scale = Field(default="proportional", description="Does laneshift size both sides, or does somebody else?")
    addresses: Addresses = Field(default=Addresses(), description="Where both sides and the public entrance answer.")


class GatewayApiConfig(PairConfig):
    """An HTTPRoute or GRPCRoute of the Gateway API, of which two Services share one rule's traffic by weights."""

    route: ObjectName = Field(description="The route's name.")
    kind: Literal["HTTPRoute", "GRPCRoute"] = Field(default="HTTPRoute", description="What kind of route it is.")
    rule: Line | None = Field(default=None, description="The rule's name; needed when several have both Services.")
    stable: Name = Field(description="The Service of the version that serves when the release starts.")
    canary: Name = Field(description="The Service of the new version.")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        two_sides(self.stable, self.canary, "Service")
        return self


def two_sides(stable: str, canary: str, what: str) -> None:
    """Raises a fault of the plan when both sides are the same."""
    if stable == canary:
        raise_faults([fault(("canary",), canary, f"another {what} than stable's, {stable}")])
