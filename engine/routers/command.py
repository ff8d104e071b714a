"""Traffic moved by commands of the engine's own configuration: terraform, kubectl, a cloud's tool, a script.

A command has no compare-and-set of its own, so there is one write at a time: a raise looks at the generation first, a
way back ends a raise that runs, process group and all, and no raise that was asked for before it begins after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from engine.config import ACTS, EngineConfigError, Granted, Surroundings
from engine.events import SCRIPT
from engine.finding import Finding
from engine.inputs import Observation
from engine.placeholders import OF_A_WRITE, filled, placeholders_in
from engine.processes import GRACE_S, KEPT, NotRunError, Ran, environment_of, last_line, plain, program_of, run
from engine.routers import Router, RouterConflict, RouterError, Write
from engine.routers.command_answer import Answer, AnswerError, read_answer
from engine.routers.command_config import CommandConfig
from engine.routers.command_script import Shell

CONFLICT_CODE = 75  # sysexits.h: EX_TEMPFAIL; a shift that finds another generation than {generation} ends with it
MARGIN_S = 0.5  # to start and to reap a process on a loaded machine


class CommandRouter(Router):
    """One of the engine's commands, with a plan's values for its placeholders."""

    Config = CommandConfig
    needs_surroundings = True

    def __init__(self, config: CommandConfig, surroundings: Surroundings) -> None:
        """Raises EngineConfigError when the engine has no such command or the plan's values don't fit it, and
        SecretMissingError."""
        self._granted = surroundings.command(config.run)
        self._hide = surroundings.secrets.hide
        self._secrets_folder = surroundings.secrets.folder
        if config.scale != "none" and not self._granted.written.scale:
            raise EngineConfigError(f"the command {config.run} has no scale: leave it out of the plan, or add it there")
        self._values = _values(self._granted, config.params, surroundings)
        self._environment = environment_of(self._granted.filled.env)
        self.target = _target(self._granted, config.params, surroundings.service)
        one_s = self._granted.written.timeout + GRACE_S + MARGIN_S
        self.observe_limit_s = self.effort_limit_s = one_s
        self.shift_limit_s = 2 * one_s  # a raise looks first; a way back ends a raise first
        self._one_write = asyncio.Lock()
        self._raising: asyncio.Task[str] | None = None
        self._ways_back = 0

    async def observe(self) -> Observation:
        """What the command prints. Raises RouterError."""
        seen = (await self._answer()).observation()
        own = f"weight-{seen.weight:g}-{self._ways_back}"  # a raise that read it before a way back is then too late
        return seen if seen.generation else replace(seen, generation=own)

    async def addresses(self) -> dict[str, str]:
        """Those that the command prints. Raises RouterError."""
        return {str(side): url for side, url in (await self._answer()).addresses.items()}

    async def shift(self, write: Write) -> str:
        """Write the weight, by `rollback` when it is 0. Returns the last line that was printed.

        Raises RouterConflict for a raise that comes too late, RouterError for anything else.
        """
        return await (self._raise(write) if write.weight else self._go_back(write))

    async def scale(self, weight: int) -> str:
        """Run the command's `scale`. Raises RouterError."""
        return self._said(await self._run("scale", _weights(weight)))

    def manual_rollback(self, release: str) -> str:
        """The command that puts everything on stable, with the names of its secrets and not their values."""
        return self._shell(release).line()

    def rollback_script(self, release: str) -> str:
        """The same and a reading of what is in effect then, for rollback.sh."""
        return self._shell(release).script(self._granted.written.timeout)

    async def examine(self) -> list[Finding]:
        """Are the programs there, and does `observe` say what a release waits for? Never raises."""
        return [*self._programs(), *await self._reading()]

    async def close(self) -> None:
        """End a raise that still runs."""
        if self._raising is not None:
            self._raising.cancel()
            await asyncio.wait([self._raising])

    # --- writing

    async def _go_back(self, write: Write) -> str:
        self._ways_back += 1
        if self._raising is not None:
            self._raising.cancel()
        async with self._one_write:
            return self._said(await self._run("rollback", _of(write)))

    async def _raise(self, write: Write) -> str:
        asked_after = self._ways_back
        async with self._one_write:
            if asked_after != self._ways_back:
                raise RouterConflict("a roll back came before it")
            raising = self._raising = asyncio.create_task(self._raised(write))
            try:
                await asyncio.wait([raising])
            finally:
                self._raising = None
                raising.cancel()
                await asyncio.gather(raising, return_exceptions=True)
            if raising.cancelled():
                raise RouterConflict("stopped: a roll back took its place")
            return raising.result()

    async def _raised(self, write: Write) -> str:
        if write.generation is not None and not self._compares():
            seen = await self.observe()
            if seen.generation != write.generation:
                raise RouterConflict(f"the target has changed: {seen.weight:g}% is on the canary now")
        return self._said(await self._run("shift", _of(write)))

    def _compares(self) -> bool:
        """Does the command compare the generation by itself?"""
        return any("generation" in placeholders_in(argument) for argument in self._granted.written.shift)

    # --- running

    async def _run(self, act: str, told: Mapping[str, str]) -> Ran:
        """One run that ended well. Raises RouterConflict, RouterError."""
        argv = self._argv(act, told)
        limit_s = self._granted.written.timeout
        try:
            ran = await run(argv, environment=self._environment, folder=self._granted.folder, limit_s=limit_s)
        except NotRunError as error:
            raise RouterError(self._hide(f"{self._title(act)}: {error}")) from None
        if ran.code == 0:
            return ran
        why = last_line(ran.err) or last_line(ran.out) or "it said nothing"
        how = f"ended with code {ran.code}" if ran.code > 0 else f"was ended by signal {-ran.code}"
        fault = RouterConflict if ran.code == CONFLICT_CODE and act == "shift" else RouterError
        raise fault(self._hide(f"{self._title(act)} {how}: {why}"))

    async def _answer(self) -> Answer:
        ran = await self._run("observe", {})
        if ran.cut:
            raise RouterError(f"{self._title('observe')} printed more than {KEPT // 1024} kB")
        try:
            return read_answer(ran.out, self._hide)
        except AnswerError as error:
            raise RouterError(f"{self._title('observe')} printed {error}") from None

    def _argv(self, act: str, told: Mapping[str, str]) -> list[str]:
        return filled(self._granted.written.argv(act), {**self._values, **told})

    def _said(self, ran: Ran) -> str:
        return str(self._hide(last_line(ran.out))) or "done"

    def _title(self, act: str) -> str:
        return f"{act} of the command {self._granted.name}"

    def _shell(self, release: str) -> Shell:
        told = {**dict.fromkeys(OF_A_WRITE, ""), **self._values, **_weights(0), "release": release, "number": SCRIPT}
        return Shell(
            rollback=filled(self._granted.written.argv("rollback"), told),
            observe=filled(self._granted.written.argv("observe"), told),
            folder=self._granted.folder,
            environment=self._granted.written.env,
            secrets_folder=self._secrets_folder,
        )

    # --- the doctor's questions

    def _programs(self) -> list[Finding]:
        found = []
        for act in ACTS:
            if argv := self._granted.written.argv(act):
                try:
                    program = program_of(argv[0], self._environment, self._granted.folder)
                except NotRunError as error:
                    found.append(Finding("bad", act, str(error), "install it, or mend the engine's configuration"))
                else:
                    found.append(Finding("ok", act, f"runs {program}"))
        return found

    async def _reading(self) -> list[Finding]:
        try:
            seen = await self.observe()
        except RouterError as error:
            return [Finding("bad", "target", str(error))]
        found = [Finding("ok", "target", f"{self.target}: {seen.weight:g}% on the canary")]
        needed = {"canary": seen.canary, "stable": seen.stable, "canary_ready": seen.canary_ready}
        silent = [name for name, value in needed.items() if value in ("", None)]
        if silent:
            said = f"observe does not say {', '.join(silent)}, and a release waits for them"
            found.append(Finding("bad", "versions", said, "print them beside the weight"))
        return found


def _weights(weight: int) -> dict[str, str]:
    return {"weight": str(weight), "stable_weight": str(100 - weight)}


def _of(write: Write) -> dict[str, str]:
    told = {"number": write.number, "release": write.release, "engine": write.engine}
    return {**_weights(write.weight), **told, "generation": write.generation or ""}


def _values(granted: Granted, params: Mapping[str, str], surroundings: Surroundings) -> dict[str, str]:
    """The placeholders that have one value in the whole release. Raises EngineConfigError."""
    command, name = granted.written, granted.name
    missing = [param for param in command.params if param not in params]
    if missing:
        raise EngineConfigError(f"the command {name} needs a value for {', '.join(missing)}: write it under params")
    unknown = [param for param in params if param not in command.params]
    if unknown:
        known = ", ".join(command.params) or "none"
        raise EngineConfigError(f"the command {name} takes no {', '.join(unknown)}; its params: {known}")
    if command.uses("canary") and not surroundings.canary:
        raise EngineConfigError(f"the command {name} needs the new version: start --canary VERSION")
    return {**params, "service": surroundings.service, "canary": surroundings.canary}


def _target(granted: Granted, params: Mapping[str, str], service: str) -> str:
    """The command with all that tells its targets apart; the version does not."""
    told = {"service": service} if granted.written.uses("service") else {}
    shown = [f"{name}={value}" for name, value in sorted((told | dict(params)).items())]
    return plain(" ".join(["command", granted.name, *shown]), 1000)
