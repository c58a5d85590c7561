"""The runners by the names that users type, and the flags of Beam that mean something on each."""

from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

DIRECT = "DirectRunner"
"""The local runner. Underneath it is Beam's `FnApiRunner`; Beam's own class of this name downloads a program first."""

DATAFLOW = "DataflowRunner"
FLINK, PORTABLE, SPARK, PRISM = "FlinkRunner", "PortableRunner", "SparkRunner", "PrismRunner"
_CLUSTERS = (DATAFLOW, FLINK, PORTABLE, SPARK, PRISM)
_PORTABLE = (FLINK, PORTABLE, SPARK, PRISM)

_LOCAL = {"directrunner", "fnapirunner"}
_INSTEAD_OF_LOCAL = {"bundlebaseddirectrunner", "switchingdirectrunner", "testdirectrunner"}
_REFUSED = {
    "daskrunner": f"it reports success with rows missing: use {DIRECT}, {FLINK} or {DATAFLOW}",
    "interactiverunner": f"it keeps every intermediate collection: use {DIRECT}, which is the default",
    **dict.fromkeys(_INSTEAD_OF_LOCAL, f"use {DIRECT}, which is the default"),
}

_OF_CLASS = {
    "DirectOptions": (),
    "StreamingOptions": (),
    "AzureOptions": (),
    "HadoopFileSystemOptions": (),
    "S3Options": (),
    "TestOptions": (),
    "TestDataflowOptions": (),
    "GoogleCloudOptions": (DATAFLOW,),
    "WorkerOptions": (DATAFLOW,),
    "PortableOptions": _PORTABLE,
    "JobServerOptions": (FLINK, SPARK),
    "FlinkRunnerOptions": (FLINK, PORTABLE),
    "SparkRunnerOptions": (SPARK, PORTABLE),
    "PrismRunnerOptions": (PRISM,),
    "KafkaStreamsRunnerOptions": (),
    "SetupOptions": _CLUSTERS,
    "ProfilingOptions": _CLUSTERS,
}
"""Class of Beam's options -> runners on which its flags mean something; every runner if it is not listed."""

_OF_FLAG = {
    "--direct_num_workers": (DIRECT,),
    "--direct_running_mode": (DIRECT,),
    "--dry_run": (DIRECT, *_CLUSTERS),
    "--job_name": _CLUSTERS,
    "--streaming": (),
    "--no_wait_until_finish": (),
    "--resource_hint": _CLUSTERS,
    "--resource_hints": _CLUSTERS,
    "--number_of_worker_harness_threads": _CLUSTERS,
    "--dataflow_job_file": (DATAFLOW,),
    "--beam_services": _CLUSTERS,
    "--use_transform_service": _CLUSTERS,
    "--pickle_library": (DIRECT, *_CLUSTERS),
    "--save_main_session": (DIRECT, *_CLUSTERS),
    "--no_save_main_session": (DIRECT, *_CLUSTERS),
    "--sdk_container_image": _CLUSTERS,
    "--worker_harness_container_image": _CLUSTERS,
    "--sdk_harness_container_image_overrides": _CLUSTERS,
    "--default_sdk_harness_log_level": _CLUSTERS,
    "--sdk_harness_log_level_overrides": _CLUSTERS,
    "--max_cache_memory_usage_mb": _CLUSTERS,
    "--element_processing_timeout_minutes": _CLUSTERS,
}
"""The same for flags that differ from their class."""

_INSTEAD = {"--no_wait_until_finish": "use --no-wait", "--streaming": "the job is a batch job"}


def runner_name(given: str | None) -> str:
    """The runner that a user names, in the spelling of its class; the full name of another class stays as it is.

    Like Beam, it accepts names in any case, without `Runner`, and with their module.

    >>> runner_name(None), runner_name("direct"), runner_name("dataflowrunner"), runner_name("my.module.OwnRunner")
    ('DirectRunner', 'DirectRunner', 'DataflowRunner', 'my.module.OwnRunner')

    Raises:
      ValueError: the runner is unknown, loses rows, keeps every collection, or is another form of the local one.
    """
    if given is None:
        return DIRECT
    module, _, last = given.lower().rpartition(".")
    last = last if last.endswith("runner") or module else f"{last}runner"
    own = not module or module.startswith("apache_beam.")
    if own and last in _LOCAL:
        return DIRECT
    if own and last in _REFUSED:
        raise ValueError(f"--runner={given}: {_REFUSED[last]}")
    names = {name.lower(): name for name in _CLUSTERS}
    if last not in names and not module:
        raise ValueError(
            f"--runner={given}: unknown; use {', '.join((DIRECT, *_CLUSTERS))}, or the full name of a class"
        )
    return names.get(last, given) if own else given


def check_flags_mean_something(words: Sequence[str], runner: str) -> None:
    """Refuses flags of Beam that have no effect on a runner.

    Raises:
      ValueError: one is given; the message names it.
    """
    if runner not in (DIRECT, *_CLUSTERS):  # a class of the user, whose flags are unknown here
        return
    classes = dict(_flags_with_class())
    for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
        if runner not in _OF_FLAG.get(flag, _OF_CLASS.get(classes.get(flag, ""), (runner,))):
            remedy = _INSTEAD.get(flag, "leave it out")
            raise ValueError(f"{flag} is not an option of {runner}: {remedy}")


def _flags_with_class() -> Iterator[tuple[str, str]]:
    """Yields every flag of Beam with the name of its option class."""
    for cls in PipelineOptions.__subclasses__():
        parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
        cls._add_argparse_args(parser)
        yield from ((flag, cls.__name__) for action in parser._actions for flag in action.option_strings)
