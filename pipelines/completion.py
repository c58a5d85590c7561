"""Prints the completion script of a shell.

source <(catalog-tagger completion bash)
"""

import click
from click.shell_completion import get_completion_class

from pipelines.terminal.command import PROGRAM, Command, CommandGroup
from pipelines.terminal.standard_output import standard_output


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Prints the completion script."""
    completion = get_completion_class(shell)
    assert completion is not None
    with standard_output() as out:
        print(completion(CommandGroup(), {}, PROGRAM, "_CATALOG_TAGGER_COMPLETE").source(), file=out)
    return 0
