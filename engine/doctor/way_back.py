"""Would rollback.sh, the way back without laneshift, work on this machine?"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Iterator

from engine.finding import Finding
from engine.routers import Router
from engine.script import NAME, script_of

PROGRAMS = ("awk", "curl", "grep", "kubectl", "sed", "socat", "tr")
LIMIT_S = 5.0
_WORD = re.compile(rf"(?<![\w./-])(?:{'|'.join(PROGRAMS)})(?![\w./-])")


async def examine_script(router: Router, service: str) -> list[Finding]:
    """Is it a script that a shell can read, and are the programs there that it runs? It is not run."""
    text = script_of(router, f"{service}-1", 1)
    fault = await _fault(text)
    if fault:
        return [Finding("bad", NAME, f"is no script that sh can read: {fault}", "the router must be mended")]
    return [*_missing(text)] or [Finding("ok", NAME, "can be written, and the programs that it runs are here")]


async def _fault(text: str) -> str:
    """What `sh -n`, which only reads, says of it."""
    pipe = asyncio.subprocess.PIPE
    reading = await asyncio.create_subprocess_exec("/bin/sh", "-n", stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(LIMIT_S):
            _, said = await reading.communicate(text.encode())
    finally:
        if reading.returncode is None:
            reading.kill()
            await reading.wait()
    return said.decode(errors="replace").strip() or f"code {reading.returncode}" if reading.returncode else ""


def _missing(text: str) -> Iterator[Finding]:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for program in sorted(set(_WORD.findall(code))):
        if shutil.which(program) is None:
            said = f"runs {program}, which is not on the engine's PATH"
            mend = f"install {shlex.quote(program)}, or know a machine that has it"
            yield Finding("warn", NAME, said, mend)
