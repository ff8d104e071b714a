"""`roles` and `tokens` in engine.yaml: who somebody is, and what that person may do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails

from engine.access.roles import Role
from engine.plan.fields import Name, Text
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.units import NotUnderstoodError

EVERYBODY: Final = "*"
WHO_PATTERN: Final = r"^(?:\*|[^\s*,:](?:[^*,:]{0,98}[^\s*,:])?)$"


def _who(written: str) -> str:
    if not re.fullmatch(WHO_PATTERN, written) or not written.isprintable():
        raise NotUnderstoodError('the name of a user or group, or "*" for everybody')
    return written


def _one(written: str) -> str:
    if written == EVERYBODY:
        raise NotUnderstoodError('one name: only in roles "*" is everybody')
    return written


def _date(written: object) -> date:
    try:
        return written if type(written) is date else date.fromisoformat(str(written))
    except ValueError:
        raise NotUnderstoodError("a date such as 2027-01-31") from None


Who = Annotated[Text, AfterValidator(_who), Field(json_schema_extra={"pattern": WHO_PATTERN})]
OneName = Annotated[Who, AfterValidator(_one)]
Date = Annotated[
    date,
    PlainValidator(_date),
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2027-01-31"]}),
]


class Members(PlanPart):
    """Who has a role."""

    users: tuple[Who, ...] = Field(
        default=(), max_length=1000, description='Users by name; `"*"` is everybody who reaches the engine.'
    )
    groups: tuple[Who, ...] = Field(
        default=(), max_length=1000, description="Groups: of the machine's user database, or of a token."
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.users and not self.groups:
            raise_faults([fault((), None, "one user or group or more", "leave the role out", found="nobody")])
        return self

    def holds(self, who: str, groups: Collection[str]) -> bool:
        """Does the role belong to this user, who is in these groups?"""
        everybody = EVERYBODY in self.users or EVERYBODY in self.groups
        return everybody or who in self.users or any(group in groups for group in self.groups)


class Roles(PlanPart):
    """Who may do what. Without it whoever can open the socket may do everything."""

    viewer: Members | None = Field(default=None, description="May look, and run the doctor.")
    operator: Members | None = Field(
        default=None, description="May do what a viewer may, start releases and give every order but `approve`."
    )
    approver: Members | None = Field(default=None, description="May look, and approve.")

    @model_validator(mode="after")
    def _some_role(self) -> Self:
        if not self.members():
            raise_faults([fault((), None, "one of viewer, operator, approver", found="no role")])
        return self

    def members(self) -> dict[Role, Members]:
        """The roles that somebody has."""
        named = ((role, getattr(self, role.value)) for role in Role)
        return {role: members for role, members in named if members is not None}


class Token(PlanPart):
    """What is known of one token: not the token."""

    name: Name = Field(description="What it is called where somebody came with it.")
    user: OneName = Field(description="Who comes with it: the name in orders and approvals.")
    groups: tuple[OneName, ...] = Field(default=(), max_length=100, description="The groups of that user.")
    roles: tuple[Role, ...] = Field(
        default=(), description="The roles of this token alone; without them `roles` decides by user and groups."
    )
    sha256: Text = Field(
        description="SHA-256 of the token, 64 hexadecimal digits; the token itself stands nowhere.",
        json_schema_extra={"pattern": "^[0-9a-fA-F]{64}$"},
    )
    expires: Date | None = Field(default=None, description="The last day on which it is valid, in UTC.")

    @model_validator(mode="after")
    def _is_a_digest(self) -> Self:
        """What stands there may be the token itself, so it is not shown."""
        if not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            hint = "printf %s TOKEN | sha256sum"
            found = f"{len(self.sha256)} characters, not shown"
            raise_faults([fault(("sha256",), None, "64 hexadecimal digits", hint, found=found)])
        return self

    def ends(self) -> datetime | None:
        """From when on it is not valid any more; None for never."""
        if self.expires is None:
            return None
        return datetime.combine(self.expires + timedelta(days=1), datetime.min.time(), UTC)

    def has_expired(self, at: float) -> bool:
        """At this time, in seconds since the epoch."""
        ends = self.ends()
        return ends is not None and at >= ends.timestamp()


def token_faults(tokens: Iterable[Token], roles: Roles | None) -> list[InitErrorDetails]:
    """Names and digests that stand twice, and tokens that may do nothing."""
    faults, names, digests = [], set[str](), set[str]()
    members = list(roles.members().values()) if roles else []
    for index, token in enumerate(tokens):
        if token.name in names:
            faults.append(fault(("tokens", index, "name"), token.name, "each name once"))
        if token.sha256.lower() in digests:
            faults.append(fault(("tokens", index, "sha256"), None, "each token once", found="one that stands above"))
        if not token.roles and not any(named.holds(token.user, token.groups) for named in members):
            hint = "write roles: [viewer] here, or name its user or a group of it under roles"
            faults.append(fault(("tokens", index), None, "a token with a role", hint, found="one without"))
        names.add(token.name)
        digests.add(token.sha256.lower())
    return faults
