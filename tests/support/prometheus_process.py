"""A Prometheus for tests: the real one, on a free port, scraping each second, gone when the test ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.programs import need

READY_SECONDS = 20.0


@dataclass
class PrometheusProcess:
    """`url` is where it answers; `web` is its own web configuration (TLS, users), None for a plain server."""

    url: str
    directory: Path
    web: Mapping[str, Any] | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens; what it scraped before is still there."""
        host = urlsplit(self.url).netloc
        arguments = [f"--storage.tsdb.path={self.directory / 'data'}", f"--web.listen-address={host}"]
        if self.web is not None:
            (self.directory / "web.json").write_text(json.dumps(self.web))
            arguments.append(f"--web.config.file={self.directory / 'web.json'}")
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory / 'prometheus.json'}", "--log.level=warn", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """Ends it, also when it is frozen."""
        if self.process is not None:
            self.thaw()
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def start_again(self) -> None:
        """It answers, whether it was stopped, frozen, or nothing at all."""
        if self.process is None:
            self.start()
        else:
            self.thaw()

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _wait_until_it_listens(self) -> None:
        """It listens after its store is open: what asks then is answered, if only with "not ready"."""
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        address = urlsplit(self.url)
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection((address.hostname, address.port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"prometheus does not answer:\n{(self.directory / 'log').read_text()[-2000:]}")


@contextmanager
def running_prometheus(
    jobs: Mapping[str, Sequence[str]], *, web: Mapping[str, Any] | None = None, rules: Path | None = None
) -> Iterator[PrometheusProcess]:
    """A server that scrapes the /metrics of these URLs (job -> base URLs) and tries `rules`, each second."""
    need("prometheus")
    scheme = "https" if web and "tls_server_config" in web else "http"
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "prometheus.json").write_text(json.dumps(_configured(jobs, rules)))
        process = PrometheusProcess(f"{scheme}://127.0.0.1:{_free_port()}", Path(directory), web)
        try:
            process.start()
            yield process
        finally:
            process.stop()


def _configured(jobs: Mapping[str, Sequence[str]], rules: Path | None) -> dict[str, Any]:
    """JSON is YAML."""
    scraped = [
        {"job_name": job, "static_configs": [{"targets": [urlsplit(url).netloc for url in urls]}]}
        for job, urls in jobs.items()
    ]
    pace = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return {"global": pace, "scrape_configs": scraped, "rule_files": [str(rules)] if rules else []}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
