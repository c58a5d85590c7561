"""Tags a whole catalog and publishes a snapshot of tag tables.

catalog-tagger tag --catalog catalog.parquet --model bundle --table table
"""

import contextlib
import dataclasses
import itertools
import logging
import random
import time
from collections.abc import Iterator

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.checks.engine import require_engine
from pipelines.checks.limits import require_limits
from pipelines.inputs.flags import Arguments
from pipelines.inputs.fusion import source_places
from pipelines.jobs.publish import publish_receipt, race_lost, unfinished
from pipelines.jobs.tag.graph import build, stages_of
from pipelines.jobs.tag.options import Options, make_options
from pipelines.launch.beam import (
    check_beam_places,
    dry_run_answer,
    is_dry_run,
    is_local,
    new_pipeline,
    parse_beam_args,
    run_pipeline,
    worker_threads,
)
from pipelines.planning.budget import choice_of_run
from pipelines.planning.canary import SampleSize, compared_sample, draw_sample, remove_output
from pipelines.planning.catalog import CatalogProblems
from pipelines.planning.job import MOST_THREADS, check_part_flags, check_plan_flags, planned
from pipelines.planning.prices import Prices
from pipelines.reports.canary_answer import canary_answer
from pipelines.reports.run_reporter import RunReporter
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import REFUSED, CommandFailed
from pipelines.waves.tagging import tag_in_waves
from transforms.maintenance.run_leases import held_for_run
from transforms.publishing import receipts
from transforms.publishing.audit import RaceLost, run_facts
from transforms.publishing.finished import open_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import judge
from transforms.publishing.source_rows import LostSourceRows, read_source_rows, require_source_rows
from transforms.tagging.choice import Budget
from transforms.telemetry.phases import phase

_log = logging.getLogger(__name__)


LONGEST_PAUSE_S = 30.0
"""Longest pause before a run that was not published first is planned again."""


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Plans and runs the job, and publishes its run; plans again if another run was published first."""
    beam_options = parse_beam_args(beam_args, "tag")
    check_beam_places(
        beam_options, catalog=args.catalog, catalog_root=args.catalog_root, model=args.model, table=args.table
    )
    for place in itertools.chain(*args.also):
        check_beam_places(beam_options, also=place)
    for place in source_places(args.source).values():
        check_beam_places(beam_options, source=place)
    if args.beats not in (None, "none"):
        check_beam_places(beam_options, beats=args.beats)
    for place in args.allow_root:
        check_beam_places(beam_options, allow_root=place)
    check_plan_flags(args, beam_options)
    check_part_flags(args, dry_run=is_dry_run(beam_options))
    if args.plan:
        with _usable_sources():
            return _planned(args, beam_options)
    require_engine(beam_options)
    if is_dry_run(beam_options):
        return _run_once(args, beam_options, _reporter(args))
    reporter = _reporter(args)
    with reporter.following(), _usable_sources():
        return _run_until_published(args, beam_options, reporter)


@contextlib.contextmanager
def _usable_sources() -> Iterator[None]:
    """Turns `LostSourceRows` into the refusal of a gate."""
    try:
        yield
    except LostSourceRows as lost:
        raise CommandFailed(f"nothing was tagged: {lost}", REFUSED) from lost


def _reporter(args: Arguments) -> RunReporter:
    priced = None if args.prices is None else Prices.load(args.prices).of
    facts = {"catalog": args.catalog, "catalog_root": args.catalog_root, "model": args.model}
    told = {name: value for name, value in facts.items() if value is not None}
    return RunReporter(args.table, facts=told, priced=priced)


def _run_until_published(args: Arguments, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    deadline = time.monotonic() + args.publish_deadline
    for attempt in itertools.count():
        try:
            return _run_once(args, beam_options, reporter)
        except RaceLost as lost:
            pause = random.uniform(0, min(LONGEST_PAUSE_S, 2**attempt))
            if time.monotonic() + pause > deadline:
                raise race_lost(lost) from lost
            _log.warning("another run was published first: planning again, with all finished work, in %.1f s", pause)
            time.sleep(pause)
    raise AssertionError("unreachable")


def _run_once(args: Arguments, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Plans on the newest snapshot, runs the job, publishes its run, and writes its report.

    Raises:
      RaceLost: another run was published since this one was planned.
    """
    if is_local(beam_options):
        require_limits()
    with phase("opening catalog, bundle and table"):
        options = make_options(args, beam_options)
    with held_for_run(
        [args.table, *(other.table for other in options.also)],
        options.launch,
        options.known.parent,
        detached=args.no_wait,
        elsewhere=not is_local(beam_options),
        dry_run=is_dry_run(beam_options),
    ):
        if args.sample is not None:
            return _launch_sample(args, options, beam_options, reporter)
        if args.max_core_hours is not None and not is_dry_run(beam_options):
            options = _within_budget(args, options, beam_options)
        return _launch(args, options, beam_options, reporter)


def _within_budget(args: Arguments, options: Options, beam_options: PipelineOptions) -> Options:
    """The options with the choice of the tracks that the budget allows. A catalog with problems is reported later."""
    threads = min(worker_threads(beam_options), MOST_THREADS)
    try:
        budget = Budget(max_core_hours=args.max_core_hours, first=args.first)
        with phase("choosing tracks within the budget"):
            made = choice_of_run(stages_of(options), budget, options.launch, threads)
    except CatalogProblems:
        return options
    known = dataclasses.replace(options.known, choice=made.choice)
    return dataclasses.replace(options, known=known, budget=made.facts.to_json())


def _launch_sample(args: Arguments, options: Options, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Runs the job over a sample, and compares the result with the last snapshot. Nothing is published."""
    output = options.known.written_to
    try:
        options = _with_sample(args, options)
        _run_job(args, options, beam_options)
        receipt = receipts.read(output, options.launch)
        if receipt.run_id is None:
            raise reporter.told(unfinished(receipt), receipt)
        sampled, before = open_run(output, receipt.run_id), options.known.snapshot
        results = judge(run_facts(output, sampled.manifest.run, hashed=False), options.limits)
        comparison = None if before is None else compared_sample(before, sampled)
        return canary_answer(args.table, sampled, results, receipt, comparison, reporter)
    finally:
        remove_output(output)


def _with_sample(args: Arguments, options: Options) -> Options:
    sample = draw_sample(stages_of(options), SampleSize.parse(args.sample))
    known = dataclasses.replace(options.known, sample=sample)
    return dataclasses.replace(options, known=known, tracks=sample.tracks)


def _launch(args: Arguments, options: Options, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Runs the planned job, and publishes its run."""
    _run_job(args, options, beam_options)
    if is_dry_run(beam_options):
        return dry_run_answer(beam_options)
    if args.no_wait:
        text = f"launched; after the job has ended, run: catalog-tagger publish {args.table}"
        return Answer(text=text, document={"table": args.table, "launched": True})
    return _finish(args.table, options.launch, options.limits, reporter)


def _run_job(args: Arguments, options: Options, beam_options: PipelineOptions) -> None:
    if is_local(beam_options) and not is_dry_run(beam_options):
        tag_in_waves(stages_of(options), beam_options)
    else:
        if options.fusion is not None and not is_dry_run(beam_options):
            with phase("reading sources"):
                require_source_rows(read_source_rows(options.fusion), options.fusion, options.limits)
        root = new_pipeline(beam_options)
        build(root, options)
        run_pipeline(root, wait=not args.no_wait)


def _planned(args: Arguments, beam_options: PipelineOptions) -> Answer:
    """What a run would do and cost."""
    require_limits()
    prices = None if args.prices is None else Prices.load(args.prices)
    options = make_options(args, beam_options)
    if args.sample is not None:
        options = _with_sample(args, options)
    also = [{"model": one.model, "table": one.table} for one in options.also]
    return planned(args, beam_options, stages_of(options), also=also, changes=options.changes, prices=prices)


def _finish(table: str, launch: str, limits: GateLimits, reporter: RunReporter) -> Answer:
    """Reads the launch's receipt and publishes the run that it names."""
    receipt = receipts.read(table, launch)
    if receipt.run_id is None:  # reported below; `publish` cannot fix this
        receipts.forget(table, launch)
    try:
        published = publish_receipt(table, receipt, limits, reporter)
    except RaceLost:  # its run follows an older snapshot for good: `publish` is not to find it
        receipts.forget(table, launch)
        raise
    receipts.forget(table, launch)  # only this one: another launch may still need its own
    return published
