"""`tipstaff score`: one interaction, scored by a running server."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tipstaff.channel import LONGEST_TIMEOUT, checked_target
from tipstaff.cli.evidence import evidence_in_words, printable
from tipstaff.errors import UsageError
from tipstaff.reasons import fields_of
from tipstaff.tls import TLS
from tipstaff.types import FIELDS, Coverage, Highlight, Interaction, Reason, Score, Verdict

REASONS_IN_WORDS = {
    Reason.PARTIAL: "not all of the text was scored",
    Reason.OUT_OF_DISTRIBUTION: "the interaction is unlike the training data",
    Reason.UNCERTIFIED: "the thresholds have no statistical guarantee",
    Reason.DEGRADED: "the evaluator does not run as it was measured",
    Reason.MISSING_FIELD: "a field that the evaluator reads is missing",
    Reason.IGNORED_FIELD: "the evaluator doesn't read one of the fields",
    Reason.NOT_EXPLAINED: "not all of the explanation is here: the deadline or the load left no "
    "time for it, or the evaluator doesn't read the output",
    Reason.UNREADABLE: "too much of a text can't be read: unknown words or dropped characters",
    Reason.NOT_CALIBRATED: "the score is not calibrated, so it is no probability",
    Reason.NOT_LEARNT: "the evaluator was not shown to know more than simpler rules do",
    Reason.UNKNOWN: "the server sent a value that this client doesn't know: update tipstaff",
}

# Another code than that of an error, so that a shell can tell a bad answer from a missing server.
EXIT_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `tipstaff score`."""
    parser.epilog = (
        "Give at least one of the three texts. @FILE reads a text from a file, and - from standard "
        "input; write @@ for a text that begins with @. The exit code is 0 for a score, and "
        f"{EXIT_FAILED} for one whose verdict --fail-on lists."
    )
    parser.add_argument(
        "--target",
        required=True,
        type=_target,
        metavar="HOST:PORT",
        help="address of the server; also unix:/path/to.sock",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token that the server wants (default: that in TIPSTAFF_TOKEN, if any)",
    )
    parser.add_argument(
        "--tls", action="store_true", help="encrypt, and trust the authorities that gRPC knows"
    )
    parser.add_argument(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="encrypt, and trust the authorities of this file",
    )
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="own certificate, for mutual TLS"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--tls-server-name",
        default="",
        metavar="NAME",
        help="name in the server's certificate, if the target's is another",
    )
    parser.add_argument(
        "--evaluator",
        default="",
        metavar="NAME",
        help="evaluator to ask; optional if the server has only one",
    )
    parser.add_argument(
        "--evaluator-version",
        default=0,
        type=_version,
        metavar="N",
        help="version of the evaluator (default: the one that serves)",
    )
    parser.add_argument("--input", metavar="TEXT", help="what the application was asked")
    parser.add_argument("--output", metavar="TEXT", help="what it answered: the text to judge")
    parser.add_argument("--ground-truth", metavar="TEXT", help="what is known to be true")
    parser.add_argument(
        "--timeout",
        default=1.0,
        type=_seconds,
        metavar="SECONDS",
        help="deadline of the call (default: 1)",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="mark the words of the output that lowered the score most, and show what supports and "
        "contradicts each sentence",
    )
    parser.add_argument(
        "--fail-on",
        default=frozenset(),
        type=_verdicts,
        metavar="VERDICTS",
        help=f"exit with {EXIT_FAILED} for these verdicts: block, or block,review",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Scores the interaction and prints the score."""
    interaction = _read(args)

    # Imported late, so that `--help` and mistakes don't wait for grpc.
    from tipstaff import Client

    with (
        _killed_by_ctrl_c(),
        Client(
            args.target,
            evaluator=args.evaluator,
            timeout=args.timeout,
            tls=_tls(args),
            token=args.token_file or os.environ.get("TIPSTAFF_TOKEN") or None,
        ) as client,
    ):
        score = client.score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            version=args.evaluator_version,
            explain=args.explain,
        )
    if args.json:
        print(_as_json(score))
    else:
        print(_as_text(score, interaction, explained=args.explain))
    return EXIT_FAILED if score.verdict in args.fail_on else 0


def _tls(args: argparse.Namespace) -> TLS | bool:
    """The files of TLS; whether to use it if there are none."""
    if (args.tls_certificate is None) != (args.tls_key is None):
        raise UsageError("--tls-certificate and --tls-key go together: give both")
    files = (args.tls_ca, args.tls_certificate, args.tls_key, args.tls_server_name)
    return TLS(*files) if any(files) else args.tls


@contextmanager
def _killed_by_ctrl_c() -> Iterator[None]:
    """Lets Ctrl-C end the process at once, as there is nothing to clean up.

    Inside grpc's blocking calls, a KeyboardInterrupt sometimes gets lost.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _read(args: argparse.Namespace) -> Interaction:
    texts: dict[str, str | None] = {name: getattr(args, name) for name in FIELDS}
    if all(text is None for text in texts.values()):
        raise UsageError("nothing to score: give --input, --output or --ground-truth")
    if sum(text == "-" for text in texts.values()) > 1:
        raise UsageError("only one text can be read from standard input")
    return Interaction(**{name: text and _read_text(name, text) for name, text in texts.items()})


def _read_text(name: str, text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    if text != "-" and not text.startswith("@"):
        return text
    try:
        return sys.stdin.read() if text == "-" else Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{_flag(name)}: can't read {text[1:]}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        source = "standard input" if text == "-" else text[1:]
        raise UsageError(f"{_flag(name)}: {source} is not UTF-8 text") from error


def _as_json(score: Score) -> str:
    return json.dumps(asdict(score), ensure_ascii=False)


def _as_text(score: Score, interaction: Interaction, *, explained: bool) -> str:
    version = f" version {score.version}" if score.version else ""
    lines = [
        f"{score.verdict}  {score.score:.3f}",
        f"  evaluator  {score.evaluator}{version} on {score.engine}",
        f"  thresholds PASS from {score.pass_at:g}, BLOCK below {score.block_below:g}",
    ]
    if certificate := score.certificate:
        bounds = [
            f"at most {_percent(bound)} of {label} answers {verdict}"
            for bound, label, verdict in (
                (certificate.max_false_pass, "bad", "PASS"),
                (certificate.max_false_block, "good", "BLOCK"),
            )
            # A bound of 1 guarantees nothing.
            if bound < 1
        ]
        lines.append(
            f"  certified  {' and '.join(bounds)}, with {_percent(certificate.confidence)} "
            f"confidence ({certificate.n} labels, {certificate.date})"
        )
    if explained and Reason.NOT_EXPLAINED not in score.reasons:
        words = "these words" if score.highlights else "no words in particular"
        marked = _marked(interaction.output or "", score.highlights)
        lines += [f"  lowered by {words}", *(f"    {line}" for line in marked.splitlines())]
    if explained:
        lines += evidence_in_words(interaction, score.evidence)
    for reason in score.reasons:
        fields = ", ".join(fields_of(reason, score, interaction))
        lines.append(f"  note       {reason}: {REASONS_IN_WORDS[reason]}{fields and f': {fields}'}")
    if score.coverage:
        coverage = (f"{name} {part.scored}/{part.total}" for name, part in score.coverage.items())
        lines.append(f"  tokens     {', '.join(coverage)}")
        unread = [
            f"{name} {unread_in_words(part)}"
            for name, part in score.coverage.items()
            if part.unread
        ]
        if unread:
            lines.append(f"  unread     {', '.join(unread)}")
    if timing := score.timing:
        parts = [("encode", timing.encode), ("queue", timing.queue)]
        parts.append(("inference", timing.inference))
        if explained:
            parts.append(("explain", timing.total - sum(seconds for _, seconds in parts)))
        milliseconds = ", ".join(f"{name} {seconds * 1000:.1f}" for name, seconds in parts)
        lines.append(f"  server     {timing.total * 1000:.1f} ms: {milliseconds}")
    lines.append(f"  request    {score.request_id}")
    return "\n".join(lines)


def unread_in_words(coverage: Coverage) -> str:
    """What of a field can't be read, as `12.5% (1 unknown word, 3 characters dropped)`."""
    words, characters = coverage.unknown, coverage.dropped
    counts = (
        f"{words} unknown word{'s' * (words != 1)}" * bool(words),
        f"{characters} character{'s' * (characters != 1)} dropped" * bool(characters),
    )
    return f"{100 * coverage.unread:.3g}% ({', '.join(filter(None, counts))})"


def _percent(rate: float) -> str:
    # Not rounded: 99.95 % must not become 100 %.
    return f"{100 * rate:.12g}%"


def _marked(output: str, highlights: Sequence[Highlight]) -> str:
    """The output with its highlights in reverse video, or in guillemets without a terminal."""
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
    opening, closing = ("«", "»") if plain else ("\x1b[7m", "\x1b[27m")
    parts, last = [], 0
    for highlight in highlights:
        parts += [printable(output[last : highlight.start]), opening]
        parts += [printable(output[highlight.start : highlight.end]), closing]
        last = highlight.end
    return "".join([*parts, printable(output[last:])])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _target(text: str) -> str:
    try:
        return checked_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _verdicts(text: str) -> frozenset[Verdict]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= {"block", "review"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not block, review or block,review")
    return frozenset(Verdict(name.upper()) for name in names)


def _version(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version: give 1, 2, …")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a positive number of seconds of at most a day"
        )
    return seconds
