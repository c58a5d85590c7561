"""What a job needs of the engine that Beam's flags name: addresses that answer, and credentials."""

import socket

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from pipelines.checks.finding import Finding
from pipelines.checks.places import place_findings

CONNECT_S = 5.0
"""Longest time that an address may take to accept a connection."""

DATAFLOW = "dataflow.googleapis.com:443"


def engine_findings(options: PipelineOptions) -> list[Finding]:
    """The findings about the runner of these options."""
    runner = (options.view_as(StandardOptions).runner or "").rpartition(".")[2]
    named = Finding(name="runner", state="ok", text=runner)
    if "Dataflow" in runner:
        google = options.view_as(GoogleCloudOptions)
        return [named, _credentials(), address_finding("Dataflow", DATAFLOW), *place_findings(google.temp_location)]
    endpoint = options.view_as(PortableOptions).job_endpoint
    flink = options.view_as(FlinkRunnerOptions).flink_master
    findings = [address_finding("job server", endpoint)] if endpoint else []
    if runner == "FlinkRunner" and ":" in flink:
        findings.append(address_finding("Flink", flink))
    return [named, *findings]


def address_finding(name: str, address: str) -> Finding:
    """Whether HOST:PORT accepts a connection."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        remedy = "start it, or correct the address"
        return Finding(name=name, state="failed", text=f"{address} does not answer ({error})", remedy=remedy)
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
