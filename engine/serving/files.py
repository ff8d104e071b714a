"""The files that come with a start: decoded, bounded, and each what its hash says."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from engine.plan.files import LONGEST_FILE, LONGEST_FILES
from engine.plan.problem import printable


class FileBody(BaseModel):
    """A file that a plan names, by the path it names it with."""

    model_config = ConfigDict(strict=True, frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=500)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="Of the content.")]
    content: Annotated[str, Field(description="In base64.", json_schema_extra={"contentEncoding": "base64"})]


def contents(sent: Sequence[FileBody]) -> dict[str, bytes]:
    """The content of each by its name. Raises HTTPException with 422."""
    found: dict[str, bytes] = {}
    for file in sent:
        shown = printable(file.name)
        path = PurePosixPath(file.name)
        if path.is_absolute() or ".." in path.parts or str(path) != file.name or not file.name.isprintable():
            raise HTTPException(422, f"files: {shown} is no path relative to the plan, without ..")
        if file.name in found:
            raise HTTPException(422, f"files: {shown} is there twice")
        found[file.name] = _content(file, shown)
    if sum(map(len, found.values())) > LONGEST_FILES:
        raise HTTPException(422, f"files: {LONGEST_FILES:,} bytes at most, all together")
    return found


def _content(file: FileBody, shown: str) -> bytes:
    try:
        content = base64.b64decode(file.content, validate=True)
    except (binascii.Error, ValueError):
        raise HTTPException(422, f"files: the content of {shown} is not base64") from None
    if len(content) > LONGEST_FILE:
        raise HTTPException(422, f"files: {shown} has more than {LONGEST_FILE:,} bytes")
    came = sha256(content).hexdigest()
    if came != file.sha256:
        raise HTTPException(422, f"files: {shown} is not what its sha256 says ({came[:12]}... came): send it again")
    return content
