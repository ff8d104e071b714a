"""What a plan writes under `replicas` and `service_switch`. Values only."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from engine.plan.fields import Name, Text
from engine.plan.stages import Strategy
from engine.plan.units import NotUnderstoodError
from engine.routers.kube_config import PairConfig, two_sides

LABEL_PATTERN: Final = r"^(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
VALUE_PATTERN: Final = r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"


def _label(written: str) -> str:
    if not re.fullmatch(LABEL_PATTERN, written):
        raise NotUnderstoodError("the name of a label, such as track or shop.example/slot")
    return written


def _value(written: str) -> str:
    if not re.fullmatch(VALUE_PATTERN, written):
        raise NotUnderstoodError("the value of a label, such as canary")
    return written


Label = Annotated[Text, AfterValidator(_label), Field(json_schema_extra={"pattern": LABEL_PATTERN})]
LabelValue = Annotated[Text, AfterValidator(_value), Field(json_schema_extra={"pattern": VALUE_PATTERN})]


class SelectorConfig(PairConfig):
    """One Service whose selector decides, by one label, whose pods it sends to."""

    service: Name = Field(description="The Service that users reach.")
    label: Label = Field(description="The label of the pods by which the two sides differ.")
    stable: LabelValue = Field(description="Its value on the pods of the version that serves when the release starts.")
    canary: LabelValue = Field(description="Its value on the pods of the new version.")
    preview: Name | None = Field(
        default=None, description="A Service for the new version's pods alone; laneshift points it at them."
    )

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        two_sides(self.stable, self.canary, "value")
        return self


class ReplicasConfig(SelectorConfig):
    """Pods of two Deployments behind one Service share its traffic by their number."""

    scale: Literal["proportional"] = Field(default="proportional", description="The canary's pods are its weight.")


class ServiceSwitchConfig(SelectorConfig):
    """A Service that sends all traffic to one side, and is switched to the other at once."""

    strategies: ClassVar[frozenset[Strategy]] = frozenset({"blue-green"})
