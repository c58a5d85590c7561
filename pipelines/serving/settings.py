"""What one service is started with."""

import dataclasses

_MIB = 2**20
_LONG = 6.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Settings of a service.

    Attributes:
      table: root of the table: a folder or a gs:// prefix.
      host: address that the service listens on. Without clients, requests must name it or this machine as their host.
      refresh_s: seconds between two looks for a newer snapshot; 0: before each request, which then waits until the
        newer one is prepared.
      query_s: most seconds of a query.
      waiting_s: most seconds that a request waits for its turn to query.
      queries: most queries at the same time.
      memory_bytes: most memory of all queries on one snapshot together.
      cache_bytes: most memory of rows, scores and vectors that are kept for the next request.
      body_bytes: largest body of a request without a file.
      body_s: most seconds in which the body of a request must arrive.
      url_bytes: longest path with its query.
      origins: origins whose pages may call the service from a browser; none by default.
      rate: requests per second that a client may send on the long run; it may send twice as many at once.
      model: bundle that analyses uploads; None: there is no analysis.
      text_model: bundle of a text network that texts are compared with sound by; None: none are.
      upload_bytes: largest file to analyse.
      upload_s: most seconds to decode one.
      audio_root: folder or gs:// prefix beneath which audio is served to the page; None: no audio is served.
    """

    table: str
    host: str = "127.0.0.1"
    refresh_s: float = 2.0
    query_s: float = 10.0
    waiting_s: float = 30.0
    queries: int = 4
    memory_bytes: int = 1024 * _MIB
    cache_bytes: int = 512 * _MIB
    body_bytes: int = _MIB
    body_s: float = 30.0
    url_bytes: int = 8192
    origins: tuple[str, ...] = ()
    rate: float = 100.0
    model: str | None = None
    text_model: str | None = None
    upload_bytes: int = 50 * _MIB
    upload_s: float = 60.0
    audio_root: str | None = None

    @property
    def long_query_s(self) -> float:
        """Most seconds of an answer that reads large parts of the table: playlists, mixes, walks, profiles."""
        return _LONG * self.query_s
