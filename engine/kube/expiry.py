"""When credentials end: from a token (JWT, RFC 7519) or a client certificate (X.509, RFC 5280 4.1.2.5)."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path


def token_expiry(token: str) -> float | None:
    """The `exp` of a JWT in seconds since the epoch; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (ValueError, KeyError, TypeError):
        return None


def certificate_expiry(path: Path) -> float | None:
    """notAfter of the first certificate of a PEM file in seconds since the epoch; None when it can't be read."""
    try:
        pem = path.read_text()
        begin = pem.index("-----BEGIN CERTIFICATE-----")
        end = pem.index("-----END CERTIFICATE-----", begin) + len("-----END CERTIFICATE-----")
        return _not_after(ssl.PEM_cert_to_DER_cert(pem[begin:end]))
    except (OSError, ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    """Certificate > TBSCertificate > [version], serial, signature, issuer, validity > notBefore, notAfter."""
    fields = _children(_children(der)[0][1])
    inside = _children(fields[0][1])
    validity = inside[4 if inside[0][0] == 0xA0 else 3]
    tag, written = _children(validity[1])[1]
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.strptime(written.decode(), form).replace(tzinfo=UTC).timestamp()


def _children(der: bytes) -> list[tuple[int, bytes]]:
    """(tag, content) of each element in a DER sequence's content."""
    found = []
    while der:
        tag, length, start = der[0], der[1], 2
        if length >= 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(der[2:start])
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found
