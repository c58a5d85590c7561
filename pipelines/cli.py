"""The `catalog-tagger` console script: finds the command, checks its flags, runs it, maps failures to exit codes."""

import argparse
import difflib
import importlib
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from pipelines.terminal.errors import FAILED, USAGE, CommandFailed, UsageError

COMMANDS = {
    "labels": ("pipelines.labels", False),
    "split": ("pipelines.split", False),
    "prepare": ("pipelines.prepare", True),
    "train": ("pipelines.train", False),
    "evaluate": ("pipelines.evaluate", False),
    "tag": ("pipelines.tag", True),
    "publish": ("pipelines.publish", False),
    "query": ("pipelines.query", False),
    "sql": ("pipelines.sql", False),
    "describe": ("pipelines.describe", False),
    "verify": ("pipelines.verify", False),
    "import": ("pipelines.import_", False),
    "synthesize": ("pipelines.synthesize", False),
}
"""Command name -> (module, whether Beam's own flags pass through). Modules import nothing heavy at their top."""

EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 published nothing because a gate or the reject budget said no."


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests the nearest choice and never exits by itself."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().strip()}")


def _build_parser(only: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="catalog-tagger",
        description="Tag large music catalogs: audio in, queryable Parquet tag tables out.",
        epilog=EPILOG,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module_name, beam) in COMMANDS.items():
        if only not in (None, name):
            continue
        module = importlib.import_module(module_name)
        sub = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"Beam's own flags pass through. {EPILOG}" if beam else EPILOG,
            allow_abbrev=False,
        )
        if only == name:
            module.add_arguments(sub)
    return parser


def _known_flags(parser: argparse.ArgumentParser) -> list[str]:
    """Long flags of a parser and of its subcommands."""
    own = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    nested = [a.choices.values() for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return own + [flag for parsers in nested for sub in parsers for flag in _known_flags(sub)]


def _beam_flags() -> list[str]:
    """Every flag that this Beam knows, of all its option classes."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    for cls in PipelineOptions.__subclasses__():
        cls._add_argparse_args(parser)
    return _known_flags(parser)


def _reject_unknown(flags: Iterable[str], known: Sequence[str]) -> None:
    for flag in flags:
        name = flag.split("=", 1)[0]
        if name.startswith("--") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"unknown flag {name}" + (f": did you mean {near[0]}?" if near else ""))


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments and what is left for Beam, all of it checked."""
    command = next((word for word in argv if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f": did you mean {near[0]}?" if near else f": choose from {', '.join(COMMANDS)}"
        raise UsageError(f"unknown command {command!r}{hint}")
    parser = _build_parser(command)
    # Required arguments are asked for after unknown flags: a mistyped flag is then named, not its missing value.
    own = _own(parser, *argv[argv.index(command) :]) if command else parser
    required = [action for action in own._actions if action.required and action.option_strings]
    for action in required:
        action.required = False
    args, rest = parser.parse_known_args(argv)
    if rest:
        beam = COMMANDS[args.command][1]
        _reject_unknown(rest, _known_flags(own) + (_beam_flags() if beam else []))
        if not beam or not rest[0].startswith("--"):
            raise UsageError(f"unexpected argument {rest[0]!r}\n{own.format_usage().strip()}")
    missing = [action.option_strings[-1] for action in required if getattr(args, action.dest) is None]
    if missing:
        raise UsageError(f"missing {', '.join(missing)}\n{own.format_usage().strip()}")
    return args, rest


def command_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one command, with its flags."""
    return _own(_build_parser(command), command)


def _own(parser: argparse.ArgumentParser, *words: str) -> argparse.ArgumentParser:
    """The parser of a command, or of its subcommand where the next word names one."""
    for word in words:
        nested = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
        if nested is None or word not in nested.choices:
            break
        parser = nested.choices[word]
    return parser


def _input_errors() -> tuple[type[Exception], ...]:
    """Errors whose message is for the user: an input is missing or wrong, not the program."""
    from models.bundles.trunk_bundle import BundleError
    from transforms.catalog.problems import CatalogError
    from transforms.dataset.manifest import DatasetError
    from transforms.storage import StorageError
    from transforms.table.versions import TableError
    from transforms.taxonomy.hierarchy import TaxonomyError

    return (BundleError, CatalogError, DatasetError, StorageError, TableError, TaxonomyError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 done, 1 failed, 2 usage, 3 refused to publish)."""
    # Libraries log warnings that no user can act on; this project's own are for the user.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    for package in ("pipelines", "transforms", "models"):
        logging.getLogger(package).setLevel(logging.WARNING)
    try:
        args, beam_args = _parse(sys.argv[1:] if argv is None else argv)
        module = importlib.import_module(COMMANDS[args.command][0])
        return int(module.run(args, beam_args))
    except CommandFailed as error:
        print(f"catalog-tagger: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        return FAILED
    except (OSError, ValueError) as error:
        if not isinstance(error, _input_errors()):
            raise
        print(f"catalog-tagger: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("catalog-tagger: interrupted; what was finished is kept, run the same command again", file=sys.stderr)
        return FAILED
    except SystemExit as stop:  # argparse's --help
        return stop.code if isinstance(stop.code, int) else USAGE


if __name__ == "__main__":
    sys.exit(main())
