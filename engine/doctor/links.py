"""Do the links of a plan answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from engine.finding import Finding

LIMIT_S = 5.0
NO_HEAD = (405, 501)  # who does not know HEAD is asked by GET


async def examine_links(links: Mapping[str, str]) -> list[Finding]:
    """One line for each: an answer below 500 is one, for most dashboards ask for a login first."""
    async with httpx.AsyncClient(timeout=LIMIT_S, trust_env=False, follow_redirects=False) as http:
        return list(await asyncio.gather(*(_examine(http, name, url) for name, url in links.items())))


async def _examine(http: httpx.AsyncClient, name: str, url: str) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_S):
            status = await _status(http, url)
    except (TimeoutError, httpx.TimeoutException):
        why = f"no answer within {LIMIT_S:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
    else:
        why = f"answered {status}"
        if status < 500:
            return Finding("ok", f"link {name}", f"{url} {why}")
    return Finding("warn", f"link {name}", f"{url}: {why}", f"open it yourself, or mend links.{name} in the plan")


async def _status(http: httpx.AsyncClient, url: str) -> int:
    answer = await http.head(url)
    if answer.status_code in NO_HEAD:
        async with http.stream("GET", url) as answer:
            return answer.status_code
    return answer.status_code
