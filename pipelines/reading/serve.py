"""Serves a published table over HTTP, and keeps the file of its clients."""

import contextlib
import socket

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, CommandFailed, UsageError
from transforms.formats.quantities import quantity
from transforms.telemetry.kept_work import note_service


def run(args: Arguments, form: str) -> int:
    """Serves until the process is asked to end, or changes the file of clients; returns the exit code.

    Args:
      args: the flags.
      form: how the answer is written: `table`, `csv`, `safe-csv` or `json`.

    Raises:
      UsageError: flags do not fit together.
      CommandFailed: the service cannot start.
    """
    try:
        import fastapi  # noqa: F401 - an optional dependency: the other commands work without it
        import joserfc  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise CommandFailed(f"{error.name} is not installed: pip install 'catalog-tagger[serve]'") from error
    if args.add_client is not None or args.remove_client is not None:
        _change_clients(args).write(form)
        return DONE
    if args.scope:
        raise UsageError("--scope: it belongs to --add-client")
    if args.table is None:
        raise UsageError("missing TABLE; see `catalog-tagger serve --help`")
    if args.export is not None:
        _export(args).write(form)
        return DONE
    _serve(args, form)
    return DONE


def _export(args: Arguments) -> Answer:
    from pipelines.serving.explorer.static_folder import export_page
    from pipelines.serving.settings import ServiceSettings
    from pipelines.serving.snapshots import SnapshotPool

    if args.clients is not None or args.audio_root is not None:
        flag = "--clients" if args.clients is not None else "--audio-root"
        raise UsageError(f"{flag}: a static folder has neither a sign-in nor audio: leave it out")
    check_writes("--export", args.export)
    settings = ServiceSettings(table=args.table, query_s=max(args.query_timeout, 600.0))
    with contextlib.closing(SnapshotPool(settings)) as pool, pool.lease() as opened:
        found = export_page(opened, args.export, args.export_tracks)
        number = opened.number
    left = f"; left out: {quantity(found.left_out, 'track')} (--export-tracks)" if found.left_out else ""
    text = f"{args.export}: page with {quantity(found.tracks, 'track')} of snapshot {number}{left}"
    return Answer(text=text, document={"folder": args.export, "snapshot": number, **found._asdict()})


def _change_clients(args: Arguments) -> Answer:
    from pipelines.serving.access.clients import add_client, remove_client

    if args.clients is None:
        raise UsageError("--clients: name the file of clients that --add-client or --remove-client changes")
    if args.add_client is not None and args.remove_client is not None:
        raise UsageError("--add-client and --remove-client exclude each other: give one of them")
    if args.table is not None:
        raise UsageError(f"{args.table}: a change of clients takes no table: leave it out")
    if "://" in args.clients:
        raise UsageError(f"--clients {args.clients}: give a file of this machine")
    check_writes("--clients", args.clients)
    if args.remove_client is not None:
        remove_client(args.clients, args.remove_client)
        text = f"{args.clients}: client {args.remove_client} is removed"
        return Answer(text=text, document={"clients": args.clients, "removed": args.remove_client})
    scopes = tuple(dict.fromkeys(args.scope)) or ("read",)
    secret = add_client(args.clients, args.add_client, scopes)
    text = f"client_id:     {args.add_client}\nclient_secret: {secret}\nThe secret is not shown again."
    document = {"client_id": args.add_client, "client_secret": secret, "scopes": list(scopes)}
    return Answer(text=text, document=document, all=True, is_program=True)


def _serve(args: Arguments, form: str) -> None:
    import uvicorn

    from pipelines.serving.access.clients import ClientsFile
    from pipelines.serving.access.connections import ServerConfig, allow_files
    from pipelines.serving.application import make_application, make_service
    from pipelines.serving.gate import LOOPBACK
    from pipelines.serving.settings import ServiceSettings

    if args.model is None and args.max_upload is not None:
        raise UsageError("--max-upload: it needs --model, the bundle that analyses files")
    if args.host not in LOOPBACK and args.clients is None:
        raise UsageError(
            f"--host {args.host}: only this machine may use a service without clients: make a file of clients with "
            "`catalog-tagger serve --add-client NAME --clients FILE`, and give it with --clients"
        )
    clients = None if args.clients is None else ClientsFile(args.clients)
    sizes = {"memory_bytes": args.memory_limit, "cache_bytes": args.cache, "upload_bytes": args.max_upload}
    settings = ServiceSettings(
        table=args.table,
        host=args.host,
        refresh_s=args.refresh,
        query_s=args.query_timeout,
        origins=tuple(args.allow_origin),
        rate=args.rate,
        audio_root=args.audio_root,
        model=args.model,
        text_model=args.text_model,
        **{name: size for name, size in sizes.items() if size is not None},
    )
    service = make_service(settings, clients, allow_weak_sandbox=args.allow_weak_sandbox)
    with _listener(args.host, args.port) as listener:
        url = _url(args.host, listener.getsockname()[1])
        number = service.snapshots.newest
        text = f"{url} serves snapshot {number} of {args.table}; {url}/v1/openapi.json describes it"
        Answer(text=text, document={"url": url, "table": args.table, "snapshot": number}).write(form)
        config = ServerConfig(make_application(service))
        allow_files(config.limits.connections)
        note_service()
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> contextlib.closing[socket.socket]:
    from pipelines.serving.access.connections import listening_socket

    try:
        return contextlib.closing(listening_socket(host, port))
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandFailed(f"--host {host} --port {port}: {reason}: choose another address or port") from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
