"""The smaller parts of a plan: the change in words, checks, the checklist, and what follows when things go wrong."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from engine.plan.choice import CheckChoice
from engine.plan.fields import Duration, Line, Name, Switch, Url, VersionName
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.units import NotUnderstoodError, show_duration


def _open_to_all(written: str) -> str:
    if REFERENCE.search(written):
        raise NotUnderstoodError("an address without a secret, for everybody who sees the release sees it")
    return written


Link = Annotated[Url, AfterValidator(_open_to_all)]
"""An address that people open beside a release: a dashboard, a log, a runbook."""


class Version(PlanPart):
    """The version to release."""

    canary: VersionName = Field(description="The new version, as it reports itself.")


class Migration(PlanPart):
    """A database migration that comes with the change."""

    reversible: Switch = Field(description="Can it be undone without loss?")
    backwards_compatible: Switch = Field(description="Does the old version run on the new schema?")


def _migration_form(written: Any) -> str:
    return "<none>" if isinstance(written, str) else "<migration>"


class Change(PlanPart):
    """What is released, in words; decides which advice and which checklist items apply."""

    summary: Line | None = Field(default=None, description="One line that says what changes.")
    kinds: tuple[Literal["docs", "ui", "dependency", "backend", "database", "core"], ...] = Field(
        default=(), description="What the change touches."
    )
    flags: tuple[Line, ...] = Field(default=(), max_length=50, description="Feature flags that belong to the change.")
    migration: Annotated[
        Annotated[Literal["none"], Tag("<none>")] | Annotated[Migration, Tag("<migration>")],
        Discriminator(_migration_form),
    ] = Field(default="none", description="`none`, or what is known of the database migration.")


class Blind(PlanPart):
    """What follows when neither version shows any data."""

    after: Duration = Field(default=120.0, description="How long nothing may be seen.")
    then: Literal["hold", "rollback"] = Field(default="hold", description="What is done then.")


class Rollback(PlanPart):
    """How long a roll back may take, and who may order one."""

    budget: Duration = Field(default=120.0, description="After this the roll back is said loudly to be late.")
    hard_limit: Duration = Field(default=300.0, description="After this it counts as failed; it is still tried.")

    who: Annotated[tuple[Line, ...], Field(max_length=50)] = Field(
        default=(),
        description="Users and groups that may roll back, as the engine knows them; without it every operator. Whoever "
        "reaches the engine may with `--break-glass` and a reason.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.budget <= 0:
            raise_faults([fault(("budget",), "0s", "more than 0s")])
        if self.hard_limit < self.budget:
            allowed = f"the budget of {show_duration(self.budget)} or more"
            raise_faults([fault(("hard_limit",), show_duration(self.hard_limit), allowed)])
        return self


class AfterRollback(PlanPart):
    """What follows a roll back: a canary of weight 0 still works on queues and open connections."""

    drain: Duration = Field(default=60.0, description="How long the canary is left alone after the roll back.")
    then: Literal["keep", "scale_to_zero"] = Field(default="keep", description="What becomes of the canary then.")


def _told_apart(written: Any, handler: ValidatorFunctionWrapHandler) -> tuple[CheckChoice, ...]:
    """The journal names a check by its title, so no two of a list share one."""
    checks: tuple[CheckChoice, ...] = handler(written)
    titles = [check.title for check in checks]
    raise_faults(
        fault((index,), title, "checks of different names", "give one of them a name", found=f"a second {title}")
        for index, title in enumerate(titles)
        if title in titles[:index]
    )
    return checks


CheckChoices = Annotated[tuple[CheckChoice, ...], WrapValidator(_told_apart)]


class Checks(PlanPart):
    """What is run and answers yes or no."""

    pre: CheckChoices = Field(default=(), max_length=100, description="Before any traffic moves.")
    stage: CheckChoices = Field(default=(), max_length=100, description="At the end of each stage's bake.")
    post: CheckChoices = Field(default=(), max_length=100, description="After the last stage.")


class ChecklistItem(PlanPart):
    """A line of the checklist that this plan adds."""

    id: Name = Field(description="What orders and checks call it.")
    list: Literal["pre", "during", "post"] = Field(description="Which of the three lists it stands in.")
    text: Line = Field(description="What people read.")


class Checklist(PlanPart):
    """How this plan's checklist differs from the default."""

    add: tuple[ChecklistItem, ...] = Field(default=(), max_length=100, description="Items of its own.")
    drop: tuple[Name, ...] = Field(default=(), description="Ids of default items that do not apply.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [item.id for item in self.add]
        twice = [fault(("add", i, "id"), each, "an id of its own") for i, each in enumerate(ids) if each in ids[:i]]
        both = [
            fault(("drop", i), each, "an item that this plan does not add")
            for i, each in enumerate(self.drop)
            if each in ids
        ]
        raise_faults(twice + both)
        return self
