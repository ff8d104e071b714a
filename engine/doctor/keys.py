"""What opens the engine's doors: tokens and the certificate that end, and folders that everybody may write to."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.config import EngineConfig, EngineConfigError, Listen
from engine.config.tls import tls_files
from engine.finding import Finding, Grade
from engine.kube.expiry import certificate_expiry
from engine.plan.units import show_duration
from engine.secrets import FOLDER

SOON_S = 14 * 86400.0
TOKENS = "tokens"
CERTIFICATE = "certificate"


def examine_keys(config: EngineConfig, file: Path, home: Path, now: float) -> list[Finding]:
    """`file` is the configuration's, `home` the state folder; `now` in seconds since the epoch."""
    found = [*_tokens(config, now), *(_certificate(config.listen, file, now) if config.listen else ())]
    socket = [file.parent / config.socket.path] if config.socket and config.socket.path else []
    return [*found, *_open_folders([home, home / FOLDER, file.absolute().parent, *(path.parent for path in socket)])]


def _tokens(config: EngineConfig, now: float) -> Iterator[Finding]:
    for token in config.tokens:
        ends = token.ends()
        left = None if ends is None else ends.timestamp() - now
        if left is not None and left < SOON_S:
            said = f"{token.name} of {token.user} {_ends(left)}"
            yield Finding("warn", TOKENS, said, f"give {token.user} another, or take it out of engine.yaml")
    if config.tokens and not config.listen:
        yield Finding("warn", TOKENS, "nobody can come with one: there is no listen", "add it to engine.yaml")
    if config.listen and not config.tokens:
        yield Finding("warn", TOKENS, "nobody can come by listen: there are none", "add them to engine.yaml")


def _certificate(listen: Listen, file: Path, now: float) -> Iterator[Finding]:
    try:
        certificate, key = tls_files(listen, file)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except EngineConfigError as error:
        yield Finding("bad", CERTIFICATE, str(error))
        return
    except (OSError, ValueError) as error:
        said = f"{listen.certificate} and {listen.key} can't be used together: {error}"
        yield Finding("bad", CERTIFICATE, said, f"openssl x509 -noout -text -in {certificate}")
        return
    ends = certificate_expiry(certificate)
    left = None if ends is None else ends - now
    if left is None or left < SOON_S:
        grade: Grade = "bad" if left is not None and left <= 0 else "warn"
        said = "does not say when it ends" if left is None else _ends(left)
        yield Finding(grade, CERTIFICATE, f"{listen.certificate} {said}", "renew it")
    else:
        yield Finding("ok", CERTIFICATE, f"{listen.certificate} belongs to its key and {_ends(left)}")


def _no_password() -> str:
    """A key with a password would be asked for at the terminal."""
    raise ValueError("the key has a password, which nobody is there to type")


def _open_folders(folders: Iterable[Path]) -> Iterator[Finding]:
    for folder in dict.fromkeys(folders):
        try:
            mode = folder.stat().st_mode
        except OSError:
            continue  # what is not there can't be written to, and has lines of its own
        if mode & stat.S_IWOTH:
            said = f"everybody can write to {folder}, and so exchange what the engine trusts"
            yield Finding("bad", "folders", said, f"chmod o-w {folder}")


def _ends(left: float) -> str:
    if left <= 0:
        return f"ended {show_duration(_rounded(-left))} ago"
    if left < SOON_S:
        return f"ends in {show_duration(_rounded(left))}"
    return f"is good for {show_duration(_rounded(left))}"


def _rounded(seconds: float) -> float:
    """Whole days, or hours, or minutes."""
    step = next((step for step in (86400, 3600, 60) if seconds >= step), 1)
    return seconds // step * step
