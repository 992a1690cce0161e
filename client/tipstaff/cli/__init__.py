"""The program `tipstaff`: finds the command, runs it, and prints errors as one line.

Exit codes: 0 success, 1 an error, 2 a mistake in the arguments or a missing extra, 3 a verdict that
`score --fail-on` lists, 130 stopped by Ctrl-C, 141 the output's reader has gone.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from tipstaff.errors import TipstaffError, UsageError

_OURS = ("tipstaff", "tipstaff_server", "tipstaff_trainer", "tipstaff_gateway")


class CommandModule(Protocol):
    """The module of a command."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Runs the command and returns the exit code."""


def flag(field: str) -> str:
    """The flag of a request's field, unless its command names another in `FLAGS`."""
    return f"--{field.replace('_', '-')}"


def flag_names(flags: Mapping[str, str]) -> Callable[[str], str]:
    """How a command's users know the fields of its request.

    Args:
        flags: A command module's `FLAGS`: what a field is where its flag is not its name, or where
            it is no flag but a positional word.
    """
    return lambda field: flags.get(field) or flag(field)


@dataclass(frozen=True, slots=True)
class Command:
    """One command; its module is imported only if the command is used.

    Attributes:
        name: As typed.
        summary: One line for `tipstaff --help`.
        module: The module with its `add_arguments` and `run`.
        extra: The extras that it needs, as in `pip install 'tipstaff[…]'`; may be empty.
    """

    name: str
    summary: str
    module: str
    extra: str = ""


# In the order of a first run.
COMMANDS = (
    Command(
        "preview",
        "show what would be read of a file: form, mapping, rows, what is left out",
        "tipstaff_trainer.cli.preview",
        "server,trainer",
    ),
    Command(
        "label",
        "have an LLM judge label interactions",
        "tipstaff_trainer.cli.label",
        "server,trainer",
    ),
    Command(
        "review-queue",
        "rank a judge's rows for review by people",
        "tipstaff_trainer.cli.review_queue",
        "server,trainer",
    ),
    Command(
        "agreement",
        "compare a judge's labels with people's, or with another judge's",
        "tipstaff_trainer.cli.agreement",
        "server,trainer",
    ),
    Command(
        "relabel",
        "adjust a judge's labels using what people corrected",
        "tipstaff_trainer.cli.relabel",
        "server,trainer",
    ),
    Command(
        "label-errors",
        "list labels that are likely wrong, for a person to check",
        "tipstaff_trainer.cli.label_errors",
        "server,trainer",
    ),
    Command(
        "train",
        "train an evaluator on labelled interactions and write a bundle",
        "tipstaff_trainer.cli.train",
        "server,trainer",
    ),
    Command(
        "evaluate",
        "measure a bundle on labelled interactions",
        "tipstaff_trainer.cli.evaluate",
        "server,trainer",
    ),
    Command(
        "probe",
        "rewrite outputs in ways with a known effect, and count the wrong verdicts",
        "tipstaff_trainer.cli.probe",
        "server,trainer",
    ),
    Command(
        "certify",
        "find thresholds that meet an error bound, using rows that people labelled",
        "tipstaff_trainer.cli.certify",
        "server,trainer",
    ),
    Command(
        "compare",
        "compare two bundles: is the second good enough to replace the first?",
        "tipstaff_trainer.cli.compare",
        "server,trainer",
    ),
    Command("inspect", "show what a bundle holds", "tipstaff_server.cli.inspect", "server"),
    Command("publish", "add a bundle to a repository", "tipstaff_server.cli.publish", "server"),
    Command(
        "promote",
        "choose the version that a repository serves",
        "tipstaff_server.cli.promote",
        "server",
    ),
    Command(
        "serve", "serve bundles or a repository over gRPC", "tipstaff_server.cli.serve", "server"
    ),
    Command("token", "make a token that a server knows a caller by", "tipstaff_server.cli.token"),
    Command(
        "certificates",
        "make certificates to try TLS with",
        "tipstaff_server.cli.certificates",
        "server,certificates",
    ),
    Command(
        "desk",
        "review labels, train evaluators and try them in a browser",
        "tipstaff_trainer.cli.desk",
        "server,trainer,desk",
    ),
    Command(
        "gateway",
        "answer HTTP, LiteLLM, NeMo Guardrails, KServe and Envoy in front of a server",
        "tipstaff_gateway.cli",
        "gateway",
    ),
    Command(
        "collect",
        "read what servers kept of their traffic into a workspace",
        "tipstaff_trainer.cli.collect",
        "server,trainer,desk",
    ),
    Command(
        "erase",
        "erase a request's rows from kept traffic and a workspace",
        "tipstaff_trainer.cli.erase",
        "server,trainer,desk",
    ),
    Command("score", "score one interaction on a running server", "tipstaff.cli.score"),
    Command(
        "score-file",
        "score every row of a file with a bundle or a running server",
        "tipstaff_trainer.cli.score_file",
        "server,trainer",
    ),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # One line; argparse would print the whole usage before it.
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        # A reader who left before the help was written is handled in main, not at shutdown.
        sys.stdout.flush()
        super().exit(status, message)


class _ShowVersion(argparse.Action):
    """Looks the version up only if asked to, since that reads files."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"tipstaff {version('tipstaff')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after `tipstaff`; None for those of the process.

    Returns:
        The exit code.

    Raises:
        SystemExit: After `--help` and `--version`, or for a mistake in the arguments.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except TipstaffError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 130
    except OSError:
        failure = _output_failure()
        if failure is None:
            raise
        if isinstance(failure, BrokenPipeError):
            return 141
        why = f"{failure.strerror}; make room there, and run it again"
        print(f"tipstaff: error: the output can't be written: {why}", file=sys.stderr)
        return 1


def _refused(error: TipstaffError, name_of: Callable[[str], str] = flag) -> int:
    print(f"tipstaff: error: {error.describe(name_of)}", file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1


def _dispatch(words: Sequence[str]) -> int:
    command = _find(words)
    try:
        return _run(command, words)
    except ModuleNotFoundError as error:
        if command and (advice := _advice(command, error)):
            raise advice from error
        raise


def _run(command: Command | None, words: Sequence[str]) -> int:
    module: CommandModule | None = importlib.import_module(command.module) if command else None
    parser = _parser(command, module)
    args = parser.parse_args(words)
    if module is None:
        parser.print_help()
        return 2
    try:
        return module.run(args)
    except TipstaffError as error:
        return _refused(error, flag_names(getattr(module, "FLAGS", {})))


def _find(words: Sequence[str]) -> Command | None:
    """The command among the words, or None.

    Raises:
        UsageError: There is no command of that name.
    """
    # Nothing before the command takes a value, so it is the first word without a dash.
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None:
        return None
    commands = {command.name: command for command in COMMANDS}
    if name in commands:
        return commands[name]
    near = difflib.get_close_matches(name, commands, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(commands)}"
    raise UsageError(f"no command {name!r}: {hint}")


def _advice(command: Command, error: ModuleNotFoundError) -> UsageError | None:
    """What to install for a missing module; None if nothing helps."""
    module = (error.name or "").partition(".")[0]
    if module in _OURS or not command.extra:
        return None
    return UsageError(
        f"`tipstaff {command.name}` needs the module {module!r}: "
        f"pip install 'tipstaff[{command.extra}]'"
    )


def _parser(chosen: Command | None, module: CommandModule | None) -> argparse.ArgumentParser:
    """The parser of all commands, with only the chosen command's arguments."""
    parser = _Parser(
        prog="tipstaff",
        description="Distil an LLM judge into a small evaluator, and serve it in milliseconds.",
        epilog="`tipstaff COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
        )
        if module is not None and command is chosen:
            module.add_arguments(subparser)
    return parser


def _output_failure() -> OSError | None:
    """The error with which standard output can't be written, which is then silenced; else None."""
    try:
        # Only writing shows whether it fails. If it doesn't, a traceback follows anyway.
        print(flush=True)
    except OSError as error:
        # Otherwise Python itself would complain at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
