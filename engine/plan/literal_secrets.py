"""Finds secrets that somebody wrote into a plan. They belong into `${env:NAME}` or `${file:PATH}`."""

from __future__ import annotations

import re
from typing import Final

REFERENCE: Final = re.compile(r"\$\{(?:env:[A-Za-z_][A-Za-z0-9_]*|file:[^{}\x00-\x1f]+)\}")
HIDDEN: Final = "(a secret, not shown)"

_SECRET_KEY = re.compile(
    r"(?:^|[_.-])(?:tokens?|passwords?|passwd|passphrase|pwd|secrets?|api_?keys?|access_?keys?|private_?keys?|secret_?keys?"
    r"|credentials?|authorization|bearer|cookie)$"
)
_SCHEME = re.compile(r"^(?:bearer|basic|token|digest)\s+", re.IGNORECASE)
_KNOWN_TOKENS = re.compile(
    r"xox[a-z]-[A-Za-z0-9-]{4,}"  # Slack
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{8,}"
    r"|gh[opsur]_[A-Za-z0-9]{4,}|github_pat_[A-Za-z0-9_]{4,}"
    r"|glpat-[A-Za-z0-9_-]{4,}"
    r"|npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}"  # Amazon, Google
    r"|[rs]k_live_[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{20,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"  # a JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b[Bb]earer\s+(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{8,}=*"
    r"|\b[Bb]asic\s+(?=[A-Za-z+/]*[0-9=])[A-Za-z0-9+/]{8,}=*"
)
_USER_AND_PASSWORD = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)([^\s/?#@:]*:)([^\s/?#]+)@")


def names_a_secret(key: str) -> bool:
    """Does this key (`token`, `slack-token`, `apiKey`) hold a secret?"""
    return bool(_SECRET_KEY.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").lower()))


def is_literal(text: str) -> bool:
    """Is this value of a secret's key anything but references, an authentication scheme before them allowed?"""
    return bool(REFERENCE.sub("", _SCHEME.sub("", text.strip(), count=1)).strip())


def holds_a_secret(text: str) -> bool:
    """Does this text hold a well-known token or a URL with a literal password?"""
    return hide(text) != text


def hide(text: str) -> str:
    """The text with every secret in it replaced."""
    return _KNOWN_TOKENS.sub(HIDDEN, _USER_AND_PASSWORD.sub(_without_password, text))


def _without_password(match: re.Match[str]) -> str:
    return match[0] if not REFERENCE.sub("", match[3]) else f"{match[1]}{match[2]}{HIDDEN}@"
