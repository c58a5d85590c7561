"""Prints the completion script of a shell.

source <(catalog-tagger completion bash)
"""

import click
from click.shell_completion import get_completion_class

from pipelines.terminal.command import PROGRAM, Command, CommandGroup


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Prints the completion script."""
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(CommandGroup(), {}, PROGRAM, "_CATALOG_TAGGER_COMPLETE").source())
    return 0
