"""The ``p2re`` command: a thin door, each command loaded when it is called."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

import click

from p2re_eval.errors import P2REError

_COMMANDS = {
    "backup": "p2re_eval.cli.keeping:backup",
    "capture": "p2re_eval.cli.capture:capture",
    "delete": "p2re_eval.cli.open:delete",
    "doctor": "p2re_eval.cli.doctor:doctor",
    "experiments": "p2re_eval.cli.experiments:experiments",
    "import": "p2re_eval.cli.imports:imports",
    "feedback": "p2re_eval.cli.feedback:feedback",
    "init": "p2re_eval.cli.init:init",
    "merge": "p2re_eval.cli.merge:merge",
    "models": "p2re_eval.cli.models:models",
    "open": "p2re_eval.cli.open:open_",
    "prompts": "p2re_eval.cli.prompts:prompts",
    "prune": "p2re_eval.cli.keeping:prune",
    "providers": "p2re_eval.cli.providers:providers",
    "record": "p2re_eval.cli.record:record",
    "redact": "p2re_eval.cli.keeping:redact",
    "restore": "p2re_eval.cli.keeping:restore",
    "run": "p2re_eval.cli.run:run",
    "sessions": "p2re_eval.cli.sessions:sessions",
    "stats": "p2re_eval.cli.stats:stats",
    "schema": "p2re_eval.cli.schema:schema",
    "serve": "p2re_eval.cli.serve:serve",
    "sync": "p2re_eval.cli.sync:sync",
    "traces": "p2re_eval.cli.traces:traces",
    "unite": "p2re_eval.cli.keeping:unite",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A command that is nearly right is suggested; click knows none before it is loaded."""
        if args[0] not in _COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from p2re_eval.explain import did_you_mean  # imports pydantic: only for a mistake

            ctx.fail(f"no command is called '{args[0]}'{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Every mistake ends as a sentence and exit code 2, never as a traceback."""
        try:
            return super().invoke(ctx)
        except P2REError as error:
            click.echo(str(error), err=True)
            ctx.exit(2)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except OSError as error:  # a disk, a folder, a name: the user's to mend, not ours
            if not error.strerror:
                raise
            where = error.filename or "what was to be written"
            _last_words(f"{where}: {error.strerror}; check the path and the disk")
            ctx.exit(2)
        except UnicodeEncodeError as error:  # half a character on the command line
            click.echo(f"{error.object[:60]!r} is not UTF-8; write it in UTF-8", err=True)
            ctx.exit(2)


def _last_words(sentence: str) -> None:
    """Where standard output cannot be written, what is left in its buffer must not fail again."""
    click.echo(sentence, err=True)
    with suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="p2re-eval", prog_name="p2re")
def main() -> None:
    """Prompts to responses: run prompt suites, look at traces, keep recordings."""
