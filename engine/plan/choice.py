"""A router, a source or a check in a plan: one key that names its kind, with that kind's own configuration under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    Field,
    GetJsonSchemaHandler,
    InstanceOf,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from engine.plan.fields import Line, Name
from engine.plan.part import PlanPart, fault, faults_of, raise_faults
from engine.plan.problem import nearest
from engine.registry import BrokenPluginError, Family, UnknownKindError, config_of, kinds


class Chosen(PlanPart):
    """`{kind: {its configuration}}`, as in `router: {sandbox: {...}}`; keys of the class's own may stand beside."""

    family: ClassVar[Family]
    kind: str
    config: InstanceOf[BaseModel]

    @classmethod
    def beside(cls) -> list[str]:
        """Keys that may stand beside the kind."""
        return [name for name in cls.model_fields if name not in Chosen.model_fields]

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, written: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(written, cls):
            return written
        if not isinstance(written, Mapping):
            raise_faults([fault((), written, f"a mapping with one {cls.family}: {_or(kinds(cls.family))}")])
        known = {name: written[name] for name in cls.beside() if name in written}
        kind, config, faults = cls._kind(written)
        try:
            chosen = handler({"kind": kind or "none", "config": config or _Nothing(), **known})
        except ValidationError as error:
            raise_faults([*faults, *faults_of(error)])
            raise
        raise_faults(faults)
        return chosen

    @classmethod
    def _kind(cls, written: Mapping[str, Any]) -> tuple[str, BaseModel | None, list[InitErrorDetails]]:
        """The one key that is a kind and its configuration, and every fault on the way."""
        names = [name for name in written if name not in cls.beside()]
        faults: list[InitErrorDetails] = []
        if not names:
            return "", None, [fault((), written, f"one {cls.family}: {_or(kinds(cls.family))}", found="none")]
        if len(names) > 1 and all(name in kinds(cls.family) for name in names):
            faults = [fault((name,), None, f"one {cls.family}", found="a second kind") for name in names[1:]]
        kind, config = names[0], None
        for name in names:
            try:
                config = cls._configured(name, written[name])
                kind = name
            except UnknownKindError as error:
                known = [*error.known, *cls.beside()]
                faults.append(fault((name,), None, _or(known), nearest(name, known), found="an unknown key"))
            except BrokenPluginError as error:
                faults.append(
                    fault((name,), None, f"a {cls.family} that can be used", str(error), found="one that can't")
                )
            except ValidationError as error:
                faults += faults_of(error)
        return kind, config, faults

    @classmethod
    def _configured(cls, name: str, written: Any) -> BaseModel:
        model = config_of(cls.family, name)
        return TypeAdapter(dict[str, model]).validate_python({name: written})[name]  # type: ignore[valid-type]  # known only now

    @model_serializer(mode="plain")
    def _write(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.beside()}
        return {
            self.kind: self.config.model_dump(mode="json", exclude_none=True),
            **{name: value for name, value in own.items() if value},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """One alternative for each kind there is."""
        own = handler.resolve_ref_schema(handler(core)).get("properties", {})
        shared = {name: own[name] for name in cls.beside()}
        return {"oneOf": [_alternative(kind, handler(_core(cls.family, kind)), shared) for kind in kinds(cls.family)]}


class _Nothing(BaseModel):
    """Stands in for a configuration with faults, so that the keys beside it are checked too."""


def _core(family: Family, kind: str) -> CoreSchema:
    return config_of(family, kind).__pydantic_core_schema__


def _alternative(kind: str, config: JsonSchemaValue, shared: dict[str, Any]) -> JsonSchemaValue:
    return {
        "type": "object",
        "properties": {kind: config, **shared},
        "required": [kind],
        "additionalProperties": False,
    }


def _or(words: tuple[str, ...] | list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


class RouterChoice(Chosen):
    """The part that moves traffic."""

    family = "router"


class SourceChoice(Chosen):
    """The part that reads metrics."""

    family = "source"


class CheckChoice(Chosen):
    """Something run and answered yes or no."""

    family = "check"
    name: Line | None = Field(default=None, description="What people read; by default the check describes itself.")
    ticks: tuple[Name, ...] = Field(
        default=(), description="Ids of the checklist items that this check ticks when it passes."
    )

    @property
    def title(self) -> str:
        """Its name, else what its configuration says of itself, else its kind."""
        return self.name or str(getattr(self.config, "title", self.kind))
