"""Commands on click. A wrong command line gives one line with the flag and the remedy; Beam's flags pass through."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from pipelines.terminal.errors import UsageError
from pipelines.terminal.standard_output import standard_output

PROGRAM = "catalog-tagger"

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a gate, 4 another job was first, "
    "5 an import lost too many rows, 6 the newest snapshot is overdue, 130 interrupted, "
    "141 the reader of the pipe left, 143 ended by SIGTERM."
)

BEAM_FLAGS = (
    "Beam's own flags pass through, for example --dry_run=True: build the job, print its options, launch nothing."
)


class _Helped(click.Command):
    """A command whose page of help goes the way of all answers."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Returns the option `--help`."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = lambda ctx, param, value: print_page(ctx, ctx.get_help()) if value else None
        return option


def print_page(ctx: click.Context, text: str) -> None:
    """Writes a page to stdout and ends the command, unless the command line is only being completed."""
    if not ctx.resilient_parsing:
        with standard_output() as out:
            print(text, file=out)
        ctx.exit()


class Command(_Helped):
    """One command.

    Args:
      beam: whether flags that the command does not know go to Beam, if Beam knows them.
    """

    def __init__(self, *args: Any, beam: bool = False, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.beam = beam
        self.epilog = f"{BEAM_FLAGS} {EXIT_CODES}" if beam else EXIT_CODES
        if beam:
            self.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Checks the whole command line before click does: first unknown flags, then values, then missing flags.

        SQL that begins with a comment is no flag.
        """
        args = [f"\n{word}" if re.match(r"--\s", word) else word for word in args]
        if ctx.resilient_parsing:  # completion: the line is not finished
            return super().parse_args(ctx, args)
        try:
            given, rest, _ = self.make_parser(ctx).parse_args(list(args))
        except click.NoSuchOption as error:
            raise unknown_flag(error.option_name, self._flags(ctx)) from error
        help_option = self.get_help_option(ctx)
        if not (help_option and given.get(help_option.name or "")):
            self._check_rest(ctx, rest)
            self._check_values(ctx, given)
            self._check_missing(ctx, given)
        return super().parse_args(ctx, args)

    def _flags(self, ctx: click.Context) -> list[str]:
        params = self.get_params(ctx)
        return [name for param in params if isinstance(param, click.Option) for name in param.opts if name[:2] == "--"]

    def _check_rest(self, ctx: click.Context, rest: Sequence[str]) -> None:
        """Refuses unknown flags and surplus arguments."""
        flags = [word.split("=", 1)[0] for word in rest if word.startswith("--")]
        if flags:
            known = [*self._flags(ctx), *beam_flags()] if self.beam else self._flags(ctx)
            for flag in flags:
                if flag not in known:
                    raise (self.beam and dry_run_meant(flag, known)) or unknown_flag(flag, known)
        if rest and not rest[0].startswith("--"):
            raise UsageError(f"unexpected argument {rest[0]!r}; see `{ctx.command_path} --help`")

    def _check_values(self, ctx: click.Context, given: dict[str, Any]) -> None:
        """Refuses values of the wrong type."""
        for param in self.get_params(ctx):
            value = given.get(param.name or "")
            if isinstance(value, str | list | tuple) and param.expose_value:  # not the mark of a flag without its value
                _refuse_blank(param, value)
                if (param.metavar or "").strip("[]") in _LOOKED_UP:
                    _refuse_bytes(param, value)
                param.type_cast_value(ctx, value)

    def _check_missing(self, ctx: click.Context, given: dict[str, Any]) -> None:
        missing = [
            param.opts[0] if isinstance(param, click.Option) else param.make_metavar(ctx)
            for param in self.get_params(ctx)
            if param.required and not given.get(param.name or "")
        ]
        if missing:
            raise UsageError(f"missing {', '.join(missing)}; see `{ctx.command_path} --help`")


def _refuse_blank(param: click.Parameter, value: Any) -> None:
    """Refuses an empty value: an empty path is the working folder. Flags that take any text may have one."""
    if isinstance(value, list | tuple):
        for part in value:
            _refuse_blank(param, part)
    elif isinstance(value, str) and not value.strip() and param.metavar != "TEXT":
        if isinstance(param, click.Option):
            raise UsageError(f"{param.opts[0]}: the value is empty: give one, or leave the flag out")
        name = param.human_readable_name.strip("[]")
        raise UsageError(f"{name}: the value is empty: give one" + ("" if param.required else ", or leave it out"))


_LOOKED_UP = frozenset(
    {"TRACK_ID", "ID", "TAG", "TAG=WEIGHT", "TAG=PERCENT", "WORDS", "KEY", "SQL"}
    | {"COLUMN=A,B", "COLUMN=LOW..HIGH", "CATEGORY"}
)
"""Metavars of values that are looked up in tables, whose texts are UTF-8. Names of files may have any bytes."""


def _refuse_bytes(param: click.Parameter, value: Any) -> None:
    """Refuses a value with bytes that are not UTF-8: no table has it."""
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
            name = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name.strip("[]")
            raise UsageError(f"{name}: {text!r} is not UTF-8: texts of tables are, so none can be meant")


class CommandGroup(_Helped, click.Group):
    """A group of commands. The error for an unknown command suggests the most similar one."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings | {"no_args_is_help": False})
        self.epilog = EXIT_CODES

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that the first word names."""
        names = self.list_commands(ctx)
        if args[0] not in names:
            near = difflib.get_close_matches(args[0], names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
            raise UsageError(f"unknown command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. For Ctrl-C, click would print an empty line before it raises the same error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses a command line without a command."""
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            names = [name for param in self.get_params(ctx) for name in param.opts]
            raise unknown_flag(error.option_name, names) from error
        if not ctx.resilient_parsing and not (ctx._protected_args or ctx.args):
            raise UsageError(f"missing COMMAND: choose from {', '.join(self.list_commands(ctx))}")
        return rest


_DRY_RUN_WORDS = {"dry", "dryrun", "plan", "planonly", "preview", "simulate", "noop", "whatif", "checkonly", "testrun"}
"""What people type for a run without effects, without the dashes."""


def dry_run_meant(flag: str, known: Iterable[str]) -> UsageError | None:
    """The error for another spelling of a dry run, which names the flag that exists; None for other flags."""
    if re.sub("[-_]", "", flag.lower()) not in _DRY_RUN_WORDS:
        return None
    if "--plan" in known:
        return UsageError(f"unknown flag {flag}: --plan shows what a run would do, and changes nothing")
    return UsageError(
        f"unknown flag {flag}: --dry_run=True checks the command line, prints the options of the job and starts nothing"
    )


def unknown_flag(flag: str, known: Iterable[str]) -> UsageError:
    """The error for an unknown flag, which suggests the most similar one."""
    near = difflib.get_close_matches(flag, list(known), n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    if not near and not flag.startswith("--"):
        hint = ": if a value begins with a dash, write -- before it"
    return UsageError(f"unknown flag {flag}{hint}")


def beam_flags() -> Iterator[str]:
    """Yields every flag of the option classes of the installed Beam."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    for cls in PipelineOptions.__subclasses__():
        cls._add_argparse_args(parser)
    return (flag for action in parser._actions for flag in action.option_strings if flag.startswith("--"))
