"""The command line: one file a command family; heavy libraries are loaded by the command that needs them."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence

import click

from hashigo.errors import HashigoError
from hashigo.version import VERSION

#: Exit code after SIGINT or SIGTERM.
STOPPED = 130

#: Command -> module that holds it; a module is loaded when its command is called.
COMMANDS = {
    "init": ("hashigo.cli.start", "Write a commented study for a material of your own."),
    "plan": ("hashigo.cli.start", "Show stages and jobs, and what each will need."),
    "schema": ("hashigo.cli.start", "Print the JSON schema of study files, for editors."),
    "converge": ("hashigo.cli.converge", "Find the cut-off and k-mesh that are enough for a study."),
    "run": ("hashigo.cli.run", "Run a study; what is finished already is taken from the cache."),
    "resume": ("hashigo.cli.run", "Go on with a run that was stopped."),
    "status": ("hashigo.cli.show", "Show a run as a tree, or list all runs."),
    "results": ("hashigo.cli.show", "Print the numbers of a run."),
    "report": ("hashigo.cli.show", "Write the HTML report of a run."),
    "engines": ("hashigo.cli.engines", "List the engines, what each needs, and their settings."),
    "frames": ("hashigo.cli.frames", "Show, merge, split and convert files of frames."),
    "crosscheck": ("hashigo.cli.crosscheck", "Compare a polycrystal's properties with another solver's."),
    "export": ("hashigo.cli.export", "Write a package for a data platform."),
}


class LazyGroup(click.Group):
    """Loads a command's module only when it is called: `hashigo --help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load a command."""
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="hashigo")
@click.option("--debug", is_flag=True, help="Show tracebacks and AiiDA's log.")
def hashigo(debug: bool) -> None:
    """Carry a crystal from first-principles forces to the properties of a polycrystal."""
    if debug:
        os.environ["HASHIGO_DEBUG"] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error meant for the user is one sentence and an exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # AiiDA says so when it is imported for the first time; `run` says what matters of it.
    warnings.filterwarnings("ignore", message="Creating AiiDA configuration folder")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no κ still gets its table
    # `--debug` may stand anywhere, as people add it to the end of what they just typed.
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    if debug:
        os.environ["HASHIGO_DEBUG"] = "1"
    try:
        code = hashigo.main(args=arguments, prog_name="hashigo", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(STOPPED)
    except BrokenPipeError:
        # The reader of a pipe has left, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except HashigoError as error:
        if debug:
            raise
        click.echo("\n".join(error.lines()), err=True)
        if error.exit_code == STOPPED:
            # What was under way is left as it is; taking its coroutines apart one by one only makes noise.
            sys.stdout.flush()
            os._exit(STOPPED)
        sys.exit(error.exit_code)
    except Exception as error:  # a fault of ours or of a library: one line, the rest on request
        if debug:
            raise
        click.echo(
            f"error: unexpected {type(error).__name__}: {error}\n  see: add --debug for details", err=True
        )
        sys.exit(1)
