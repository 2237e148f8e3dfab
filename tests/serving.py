"""A service in a process of its own, and how tests ask it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

SERVES = re.compile(r"sodslice serves at (http://\S+)")


@dataclass
class Service:
    """A service that runs.

    Args:
        url: where it answers.
        data: its folder.
        process: in which it runs.
        said: lines of its stderr so far.
        token: that each request brings.
    """

    url: str
    data: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    token: str | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of an answer."""
        given = dict(headers or {})
        if self.token is not None:
            given["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, body, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str, *, status: int = 200) -> Any:
        """What a GET answers in JSON, with that status."""
        return self._json(self.ask("GET", path), status)

    def fetch(self, path: str) -> bytes:
        """The bytes that a GET answers."""
        found, content = self.ask("GET", path)
        assert found == 200, content
        return content

    def post(self, path: str, asked: Any, *, status: int = 200) -> Any:
        """What a POST of JSON answers in JSON, with that status."""
        body = json.dumps(asked).encode()
        return self._json(self.ask("POST", path, body, {"Content-Type": "application/json"}), status)

    def delete(self, path: str) -> Any:
        """What a DELETE answers."""
        return self._json(self.ask("DELETE", path), 200)

    def upload(self, name: str, content: bytes) -> Any:
        """What an upload answers."""
        kind = {"Content-Type": "application/octet-stream"}
        return self._json(self.ask("POST", f"/uploads?name={quote(name)}", content, kind), 201)

    def children(self) -> list[int]:
        """Processes that it has started and that have not ended."""
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for file in listed for child in file.read_text().split()]

    @staticmethod
    def _json(answer: tuple[int, bytes], status: int) -> Any:
        found, content = answer
        assert found == status, content
        return json.loads(content)


@contextmanager
def serving(data: Path, *flags: str, token: str | None = None) -> Iterator[Service]:
    """A service with these flags, until the block ends; a token is put into a file for it."""
    data.mkdir(parents=True, exist_ok=True)
    if token is not None:
        file = data.with_name(f"{data.name}.token")
        file.write_text(token)
        flags = (*flags, "--token-file", str(file))
    command = [sys.executable, "-m", "sodslice", "serve", "--port", "0", "--data", str(data), *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    service = Service("", data, process, token=token)
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(service, ready), daemon=True)
    reader.start()
    try:
        assert ready.wait(60), service.said
        assert service.url, service.said
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        reader.join(10)


def _read(service: Service, ready: threading.Event) -> None:
    """Keep what a service says, and learn from it where it is."""
    assert service.process.stderr is not None
    for line in service.process.stderr:
        service.said.append(line.rstrip("\n"))
        found = SERVES.search(line)
        if found:
            service.url = found[1]
            ready.set()
    ready.set()
