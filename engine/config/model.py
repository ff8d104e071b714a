"""What engine.yaml holds as a whole."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from engine.config.commands import Command
from engine.config.people import Roles, Token, token_faults
from engine.config.places import Address, DeadMan, Listen, Retention, SocketPlace, StoreUrl, between
from engine.plan.fields import Duration, Name
from engine.plan.part import PlanPart, raise_faults
from engine.secrets import Secrets


class EngineConfig(PlanPart):
    """The engine's own configuration."""

    roles: Roles | None = Field(
        default=None, description="Who may do what; without it whoever can open the socket may do everything."
    )
    tokens: tuple[Token, ...] = Field(
        default=(), max_length=1000, description="Who may come by `listen`: what is known of each token."
    )
    listen: Listen | None = Field(
        default=None, description="Where people with a token reach the engine, by TLS; by default nowhere."
    )
    probes: Address | None = Field(
        default=None, description="Where `/healthz`, `/readyz` and `/metrics` answer, without TLS and to everybody."
    )
    socket: SocketPlace | None = Field(default=None, description="The unix socket: where it is, and who may open it.")
    store: StoreUrl | None = Field(
        default=None,
        description="The team's journal, `postgresql://...`; by default it is SQLite, in the state folder.",
    )
    lease: Annotated[Duration, between(1.0, 600.0)] = Field(
        default=10.0, description="How long an engine that says nothing keeps its releases, when several share a store."
    )
    dead_man: DeadMan | None = Field(default=None, description="Who is told again and again that the engine lives.")
    retention: Retention | None = Field(
        default=None, description="What the journal keeps of releases that have ended; by default everything."
    )
    commands: dict[Name, Command] = Field(
        default={}, max_length=1000, description="What plans may run, by name. A plan can't add to it."
    )

    @model_validator(mode="after")
    def _tokens_can_be_used(self) -> Self:
        raise_faults(token_faults(self.tokens, self.roles))
        return self

    def store_url(self, secrets: Secrets) -> str:
        """Where the journal is, with its secrets; empty for SQLite. Raises SecretMissingError."""
        return secrets.resolve(_Store(store=self.store)).store or ""


class _Store(PlanPart):
    """The one key whose secrets are resolved at the engine's start."""

    store: StoreUrl | None = None
