"""Metrics of the service for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class ServiceMetrics:
    """Counts requests by path template, so that the number of series does not depend on what clients send."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "catalog_tagger_requests_total",
            "Requests by path, method and status.",
            ["path", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "catalog_tagger_request_seconds",
            "Time from the arrival of a request to the last byte of its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._active = Gauge("catalog_tagger_requests_active", "Requests being answered.", registry=self._registry)
        self._snapshot = Gauge("catalog_tagger_snapshot_number", "Number of the snapshot.", registry=self._registry)
        self._stale = Gauge(
            "catalog_tagger_snapshot_look_failed",
            "1 if the last look for a newer snapshot failed.",
            registry=self._registry,
        )

    def begun(self) -> None:
        """Counts a request that has arrived."""
        self._active.inc()

    def ended(self, path: str, method: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._active.dec()
        known = method if method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self._requests.labels(path, known, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self, snapshot: int, *, is_stale: bool) -> bytes:
        """All metrics in Prometheus' text format."""
        self._snapshot.set(snapshot)
        self._stale.set(int(is_stale))
        return generate_latest(self._registry)
