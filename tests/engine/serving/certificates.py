"""An authority and a server's certificate of 127.0.0.1, made anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.programs import need


def certify(folder: Path, name: str = "server") -> None:
    """`ca.pem`, `NAME.pem` and `NAME.key` in a folder; the authority that is there already is used again."""
    need("openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    if not (folder / "ca.pem").exists():
        openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl(
        *("req", "-x509", *new, "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.pem", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    )
