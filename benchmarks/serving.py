"""Pictures a second that a service answers, beside the tiles a second of the bare graph of its model.

    python benchmarks/serving.py --seconds 60

Clients post JPEGs of 640 x 640 pixels, one after the other, with and without the picture in the answer. The
service is a process of its own, with its defaults; all clients are one process that does little. Before and
after each measurement the graph alone runs on the same pictures, decoded and prepared: one at a time on all
cores, as `sodslice bench` measures it, and two at a time, each on its part of them. The shares are answers a
second over the mean of the rates around them. Memory is the service's own share of pages (PSS). At last more
clients come than may wait.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from sodslice.inference import ExportedDetector
from sodslice.models import load_spec, resolve_model
from sodslice.settings import Options
from sodslice.synthetic import SceneSpec, render
from sodslice.system.chip import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.serving import Service, serving

SIDE = 640
PICTURES = 8
QUALITY = 90
BARE_SHARE = 0.1
"""Of the seconds of a measurement: how long the graph alone is timed."""
HEAD = (
    "clients", "answers/s", "bare, one at a time", "share", "two at a time", "share",
    "median ms", "p95 ms", "others", "MB before", "after",
)  # fmt: skip
WAITING = 64
MORE = 96
WARMING_S = 5.0
PATIENCE_S = 0.5
"""After which a client that was told to come back does so, whatever it was told."""


@dataclass
class Load:
    """What came of some clients.

    Args:
        seconds: that it took.
        times: of each answer with a result, in seconds.
        statuses: how often each came; "broken" where none came.
        refused: seconds of each answer that told a client to come back.
    """

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Results a second."""
        return len(self.times) / self.seconds

    def row(self, words: str, bare: Sequence[float], memory: Sequence[float]) -> str:
        """A line of the table."""
        others = {status: count for status, count in self.statuses.items() if status != "200"}
        times = sorted(self.times) or [float("nan")]
        cells = (
            words,
            f"{self.per_second:.2f}",
            *(f"{one:.2f} | {self.per_second / one:.2f}" for one in bare),
            f"{median(times) * 1e3:.0f}",
            f"{times[int(0.95 * len(times))] * 1e3:.0f}",
            str(others or "none"),
            *(f"{megabytes:.0f}" for megabytes in memory),
        )
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Serve, post, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--model", default="vehicle-t")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    pictures = drawn()
    encoded = [jpeg(pixels) for pixels in pictures]
    bare = bare_graph(given.model, given.device, pictures)
    kilobytes = sum(map(len, encoded)) / len(encoded) / 1e3
    print(describe())
    print(f"{given.model}, {PICTURES} pictures of {SIDE} x {SIDE} in turn, {kilobytes:.0f} kB each")
    flags = ("--model", given.model, "--device", given.device, "--waiting", str(WAITING), "-q")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data", *flags) as service:
        bodies = {draw: [body(content, draw=draw) for content in encoded] for draw in (False, True)}
        for draw in (False, True):
            loaded(service, 2, WARMING_S, bodies[draw])
        print(f"| {' | '.join(HEAD)} |", f"|{'-|' * len(HEAD)}", sep="\n")
        for draw in (False, True):
            for clients in given.clients:
                rates, memory = [bare(given.seconds * BARE_SHARE)], [pss_mb(service)]
                load = loaded(service, clients, given.seconds, bodies[draw])
                memory.append(pss_mb(service))
                rates.append(bare(given.seconds * BARE_SHARE))
                words = f"{clients}{', with picture' if draw else ''}"
                print(load.row(words, np.mean(rates, axis=0).tolist(), memory), flush=True)
        show_refusals(service, min(given.seconds, 10.0), bodies[False])


def drawn() -> list[np.ndarray]:
    """Pictures `(640, 640, 3)` of streets with vehicles."""
    specs = (
        SceneSpec(width=SIDE, height=SIDE, seed=seed, vehicles=1.0, nodata=False) for seed in range(PICTURES)
    )
    return [np.ascontiguousarray(render(spec)) for spec in specs]


def jpeg(pixels: np.ndarray) -> bytes:
    """A picture as cameras store it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def body(content: bytes, *, draw: bool) -> bytes:
    """What a client sends."""
    return json.dumps({"image": base64.b64encode(content).decode(), "visualize": draw}).encode()


def bare_graph(
    model: str, device: str, pictures: Sequence[np.ndarray]
) -> Callable[[float], tuple[float, float]]:
    """What tells the tiles a second of the graph alone: one at a time on all cores, and two at a time.

    Each is measured for the seconds that it is given.
    """
    options = Options.from_mapping({"model": model, "device": device})
    spec = resolve_model(model, options.inference)
    ways = []
    for streams in (1, 2):
        detector = load_spec(replace(spec, streams=streams))
        assert isinstance(detector, ExportedDetector)
        ways.append([detector.bare_call(pixels[None]) for pixels in pictures])
        for call in ways[-1]:
            call()
    return lambda seconds: (rate(ways[0], seconds, 1), rate(ways[1], seconds, 2))


def rate(calls: Sequence[Callable[[], object]], seconds: float, threads: int) -> float:
    """Calls a second that some threads make, one after the other each."""
    began, done = time.perf_counter(), [0] * threads
    ends = began + seconds

    def work(number: int) -> None:
        for call in islice(cycle(calls), number, None):
            call()
            done[number] += 1
            if time.perf_counter() > ends:
                return

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - began)


def loaded(service: Service, clients: int, seconds: float, bodies: Sequence[bytes]) -> Load:
    """What some clients get that post for some seconds, each on a connection of its own."""
    return asyncio.run(_loaded(service.url, clients, seconds, bodies))


async def _loaded(url: str, clients: int, seconds: float, bodies: Sequence[bytes]) -> Load:
    load, began = Load(), time.perf_counter()
    requests = [_request(url, content) for content in bodies]
    await asyncio.gather(
        *(_client(url, number, began + seconds, requests, load) for number in range(clients))
    )
    load.seconds = time.perf_counter() - began
    return load


async def _client(url: str, number: int, ends: float, requests: Sequence[bytes], load: Load) -> None:
    """Post pictures until the time is over."""
    where, connection = urlsplit(url), None
    for request in islice(cycle(requests), number % len(requests), None):
        began = time.perf_counter()
        if began > ends:
            break
        try:
            connection = connection or await asyncio.open_connection(
                where.hostname, where.port, limit=1 << 22
            )
            status, stays = await _answer(*connection, request)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status, stays = "broken", False
        took = time.perf_counter() - began
        load.statuses[status] += 1
        if status == "200":
            load.times.append(took)
        elif status == "429":
            load.refused.append(took)
        if connection is not None and not stays:
            connection[1].close()
            connection = None
        if status != "200":
            await asyncio.sleep(PATIENCE_S)
    if connection is not None:
        connection[1].close()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[str, bool]:
    """The status of an answer, and whether the connection stays."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head.split()[1].decode(), b"connection: close" not in head


def _request(url: str, content: bytes) -> bytes:
    head = (
        f"POST /small-object-detection HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def show_refusals(service: Service, seconds: float, bodies: Sequence[bytes]) -> None:
    """Say what more clients get than may wait."""
    load = loaded(service, MORE, seconds, bodies)
    slowest = max(load.refused, default=float("nan"))
    print(
        f"{MORE} clients where {WAITING} may wait, {seconds:g} s: {dict(load.statuses)}; "
        f"429 came after {median(load.refused or [slowest]) * 1e3:.0f} ms (median), "
        f"{slowest * 1e3:.0f} ms at most; {load.per_second:.2f} answers/s"
    )


def pss_mb(service: Service) -> float:
    """Memory of a service and of what it has started, shared pages by their share."""
    processes = [service.process.pid, *service.children()]
    files = (Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes)
    lines = (line for text in files for line in text.splitlines() if line.startswith("Pss:"))
    return sum(int(line.split()[1]) for line in lines) / 1024


if __name__ == "__main__":
    main()
