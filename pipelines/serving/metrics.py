"""Metrics of the service for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pipelines.serving.snapshots import PoolState

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)

_STATE = {
    "snapshot_number": "Number of the snapshot.",
    "snapshot_look_failed": "1 if the last look for a newer snapshot failed, or its preparation.",
    "snapshot_preparing": "Number of the snapshot that is prepared before it is served; 0: none.",
    "snapshot_prepare_seconds": "Time of the last preparation.",
    "cache_bytes": "Bytes of rows, scores, words and vectors that are kept.",
}


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
        self._texts = Counter(
            "catalog_tagger_texts_total",
            "Texts that were compared with sound, by whether their vectors were kept.",
            ["kept"],
            registry=self._registry,
        )
        self._active = Gauge("catalog_tagger_requests_active", "Requests being answered.", registry=self._registry)
        self._state = {
            name: Gauge(f"catalog_tagger_{name}", words, registry=self._registry) for name, words in _STATE.items()
        }

    def begun(self) -> None:
        """Counts a request that has arrived."""
        self._active.inc()

    def ended(self, path: str, method: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._active.dec()
        known = method if method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self._requests.labels(path, known, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text_read(self, *, is_kept: bool) -> None:
        """Counts a text that is compared with sound."""
        self._texts.labels("yes" if is_kept else "no").inc()

    def text(self, state: PoolState) -> bytes:
        """All metrics in Prometheus' text format."""
        values = {
            "snapshot_number": state.newest,
            "snapshot_look_failed": state.fault is not None,
            "snapshot_preparing": state.preparing,
            "snapshot_prepare_seconds": state.seconds,
            "cache_bytes": state.kept_bytes,
        }
        for name, gauge in self._state.items():
            gauge.set(values[name])
        return generate_latest(self._registry)
