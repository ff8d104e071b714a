"""The certificate that `listen` names, and its key: where they are, and that nobody else reads the key."""

from __future__ import annotations

import stat
from pathlib import Path

from engine.config.errors import EngineConfigError
from engine.config.places import Listen


def tls_files(listen: Listen, config: Path) -> tuple[Path, Path]:
    """The certificate's file and its key's, relative to the configuration's own file.

    Raises EngineConfigError when one can't be read, or when everybody could read the key.
    """
    folder = config.absolute().parent
    certificate, key = folder / listen.certificate, folder / listen.key
    for name, path in (("certificate", certificate), ("key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise EngineConfigError(f"{config}: listen.{name}: {path} can't be read: {error.strerror}") from None
    if stat.S_IMODE(key.stat().st_mode) & (stat.S_IRWXO | stat.S_IWGRP):
        raise EngineConfigError(f"{config}: listen.key: others can read or write {key}: chmod 0600 {key}")
    return certificate, key
