"""What a plan writes under the names of routers whose traffic another controller moves. Values only."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field

from engine.plan.fields import Text
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart
from engine.plan.units import NotUnderstoodError
from engine.routers.config import Finish
from engine.routers.kube_config import Addresses, KubeConfig, ObjectName

LISTEN_PATTERN: Final = r"^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$"
TOKEN_PATTERN: Final = r"^[A-Za-z0-9_-]{16,200}$"


class OwnedConfig(KubeConfig):
    """An object whose controller moves the traffic: laneshift judges, and tells it to go on or to go back."""

    finishes: ClassVar[frozenset[Finish]] = frozenset({"handover"})
    holds: ClassVar[bool] = True
    rehearses: ClassVar[bool] = True
    vitals: ClassVar[tuple[str, ...]] = ("restarts", "oom_kills", "unready")

    addresses: Addresses = Field(default=Addresses(), description="Where both sides and the public entrance answer.")


class ArgoRolloutsConfig(OwnedConfig):
    """A Rollout of Argo Rollouts, with a stop after each of the plan's weights."""

    rollout: ObjectName = Field(description="The Rollout's name.")


def _listen(written: str) -> str:
    found = re.fullmatch(LISTEN_PATTERN, written)
    if found is None or int(found[1]) > 65535:
        raise NotUnderstoodError("an address and port of the engine's machine, such as 0.0.0.0:7486")
    return written


def _token(written: str) -> str:
    if not REFERENCE.fullmatch(written) and not re.fullmatch(TOKEN_PATTERN, written):
        raise NotUnderstoodError("16 letters, digits, _ or - at least, as they stand in the path of the webhooks")
    return written


class Gates(PlanPart):
    """Where the engine answers Flagger's webhooks."""

    listen: Annotated[Text, AfterValidator(_listen)] = Field(
        default="0.0.0.0:7486",
        description="Address and port of the engine's machine that Flagger's webhooks reach.",
    )
    token: Annotated[Text, AfterValidator(_token)] = Field(
        description="What stands in the path of the webhooks' URLs, so that nobody else opens or reads a gate."
    )


class FlaggerConfig(OwnedConfig):
    """A Canary of Flagger, whose gates the engine answers; its stepWeights are the plan's weights."""

    canary: ObjectName = Field(description="The Canary's name.")
    gates: Gates | None = Field(
        default=None, description="Where the engine answers Flagger's webhooks; not needed with --observe."
    )
