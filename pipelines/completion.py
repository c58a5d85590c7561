"""Prints the completion script of a shell.

source <(catalog-tagger completion bash)
"""

import click
from click.shell_completion import get_completion_class

from pipelines.terminal.command import Command, Group

PROGRAM = "catalog-tagger"


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Prints the script."""
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(Group(), {}, PROGRAM, "_CATALOG_TAGGER_COMPLETE").source())
    return 0
