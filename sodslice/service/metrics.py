"""What Prometheus is told."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sodslice_requests", "Requests by method, route and status.", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "sodslice_request_seconds", "Seconds from the head of a request to the end of its answer.",
            ("route",), registry=self.registry, buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
        )  # fmt: skip
        self.waiting = Gauge(
            "sodslice_pictures_waiting", "Pictures that wait or are looked at.", registry=self.registry
        )
        self.objects = Counter("sodslice_objects", "Objects found in pictures.", registry=self.registry)
        self.jobs = Gauge("sodslice_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self.bytes = Gauge("sodslice_bytes", "Bytes of uploads and results.", registry=self.registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
