"""What a job needs of the engine that Beam's flags name: addresses that answer, and credentials."""

import dataclasses
import socket
from collections.abc import Callable, Iterator

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    TestOptions,
)

from pipelines.checks.finding import Finding
from pipelines.checks.in_time import answer_in_time
from pipelines.checks.places import place_findings
from pipelines.terminal.errors import CommandFailed

CONNECT_S = 5.0
"""Longest time that an address may take to accept a connection."""

ENGINE_S = 15.0
"""Longest time that one question to an engine may take, with the look-up of its address."""

DATAFLOW_API = "dataflow.googleapis.com:443"


def engine_findings(options: PipelineOptions) -> list[Finding]:
    """The findings about the runner of these options."""
    runner = (options.view_as(StandardOptions).runner or "").rpartition(".")[2]
    google = options.view_as(GoogleCloudOptions)
    places = place_findings(google.temp_location) if "Dataflow" in runner else []
    name = "DirectRunner" if runner == "FnApiRunner" else runner
    return [Finding(name="runner", state="ok", text=name), *_answers(options), *places]


def require_engine(options: PipelineOptions) -> None:
    """Refuses a job whose engine does not answer, in less than 20 s. A dry run needs no engine.

    Raises:
      CommandFailed: the engine does not answer, or there are no credentials for it.
    """
    for finding in () if options.view_as(TestOptions).dry_run else _answers(options):
        if finding.state == "failed":
            raise CommandFailed(f"{finding.name}: {finding.text}: {finding.remedy}")


def _answers(options: PipelineOptions) -> Iterator[Finding]:
    """Yields whether the engine answers, one finding per question, and asks only when it is asked for the next one."""
    runner = (options.view_as(StandardOptions).runner or "").rpartition(".")[2]
    if "Dataflow" in runner:
        yield _in_time("Dataflow", DATAFLOW_API, lambda: address_finding("Dataflow", DATAFLOW_API), _NETWORK)
        yield _in_time("credentials", "Google's metadata server", _credentials, _NETWORK)
    if endpoint := options.view_as(PortableOptions).job_endpoint:
        yield _in_time("job server", endpoint, lambda: job_server_finding(endpoint))
    flink = options.view_as(FlinkRunnerOptions).flink_master
    if runner == "FlinkRunner" and ":" in flink:
        yield _in_time("Flink", flink, lambda: address_finding("Flink", flink))


_REMEDY = "start it, or correct the address or the network"
_NETWORK = "connect this machine to the network, or correct its proxy and firewall"
"""What to do if a service of Google does not answer, which nobody here can start."""


def _in_time(name: str, address: str, ask: Callable[[], Finding], remedy: str = _REMEDY) -> Finding:
    """The finding with this remedy, if there is no answer."""
    try:
        found = answer_in_time(ask, ENGINE_S)
    except TimeoutError:
        text = f"no answer from {address} within {ENGINE_S:.0f} s"
        return Finding(name=name, state="failed", text=text, remedy=remedy)
    return dataclasses.replace(found, remedy=remedy) if found.remedy == _REMEDY else found


def job_server_finding(address: str) -> Finding:
    """Whether HOST:PORT is a gRPC server, as Beam's job servers are: another server may accept connections too."""
    found = address_finding("job server", address)
    if found.state == "failed":
        return found
    with grpc.insecure_channel(address.rpartition("://")[2]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
        except grpc.FutureTimeoutError:
            text = f"{address} accepts connections, but does not answer as a job server of Beam"
            return Finding(name="job server", state="failed", text=text, remedy=_REMEDY)
    return found


def address_finding(name: str, address: str) -> Finding:
    """Whether HOST:PORT accepts a connection."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        return Finding(name=name, state="failed", text=f"{address} does not answer ({error})", remedy=_REMEDY)
    return Finding(name=name, state="ok", text=f"{address} answers")


def _credentials() -> Finding:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        _, project = google.auth.default()
    except (DefaultCredentialsError, OSError) as error:
        text = " ".join(str(error).split())
        return Finding(name="credentials", state="failed", text=text, remedy="gcloud auth application-default login")
    return Finding(name="credentials", state="ok", text=f"Google's application default credentials, project {project}")
