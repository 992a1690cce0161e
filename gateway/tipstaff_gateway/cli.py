"""`tipstaff gateway`: other protocols in front of a Tipstaff server."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from tipstaff_gateway.settings import OFF, Settings

PROTOCOLS = ("litellm", "envoy", "nemo", "kserve")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `tipstaff gateway`."""
    parser.epilog = (
        "Give --target or --bundles. Callers set their deadline by the header "
        "tipstaff-timeout-ms; the headers authorization and tipstaff-caller are forwarded to the "
        "server. /docs describes the gateway's own JSON."
    )
    default = {each.name: each.default for each in dataclasses.fields(Settings)}
    add = parser.add_argument
    add("--target", default="", metavar="HOST:PORT", help="address of the server")
    add(
        "--bundles",
        type=Path,
        metavar="FOLDER",
        help="start a server for a bundle, a folder of bundles or a repository",
    )
    add(
        "--listen",
        default=default["listen"],
        metavar="HOST:PORT",
        help="where to answer HTTP; port 0 takes a free one (default: %(default)s)",
    )
    add(
        "--grpc-listen",
        default=OFF,
        metavar="HOST:PORT",
        help="where to answer Envoy and the Open Inference Protocol over gRPC (default: off)",
    )
    add("--evaluator", default="", metavar="NAME", help="evaluator where a request names none")
    add(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="TOML file that says which parts of a request are input, output and ground truth",
    )
    add(
        "--timeout",
        type=float,
        default=default["timeout"],
        metavar="SECONDS",
        help="time for a request that names no deadline (default: %(default)s)",
    )
    for name, help_text in (
        ("max_body_bytes", "bytes of a request's body"),
        ("max_calls", "requests at a time; more are refused as overload"),
        ("max_joins", "prompts that wait for their answer, for LiteLLM"),
    ):
        add(
            f"--{name.replace('_', '-')}",
            type=int,
            default=default[name],
            metavar="N",
            help=f"{help_text} (default: %(default)s)",
        )
    add(
        "--join-seconds",
        type=float,
        default=default["join_seconds"],
        metavar="SECONDS",
        help="time that a prompt waits for its answer (default: %(default)s)",
    )
    add("--tls-certificate", type=Path, metavar="FILE", help="certificates in PEM, for HTTPS")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's private key in PEM")
    add(
        "--tls-client-ca",
        type=Path,
        metavar="FILE",
        help="authorities in PEM: callers need a certificate from one of them",
    )
    add("--target-tls", action="store_true", help="the server speaks TLS")
    for name, help_text in (
        ("ca", "authorities in PEM of the server's certificate (default: those of gRPC)"),
        ("certificate", "the gateway's certificate in PEM, where the server wants one"),
        ("key", "the private key in PEM of that certificate"),
        ("token", "file with a token, for callers that send none"),
    ):
        add(f"--target-{name}", type=Path, metavar="FILE", help=help_text)
    add(
        "--target-server-name",
        default="",
        metavar="NAME",
        help="name in the server's certificate, if it is not the target's",
    )
    add(
        "--poll-seconds",
        type=float,
        default=default["poll_seconds"],
        metavar="SECONDS",
        help="pause between two looks for renewed files of its own ports (default: %(default)s)",
    )
    add(
        "--explain-mapping",
        choices=PROTOCOLS,
        help="show what the mapping finds in the request of --request, and end",
    )
    add(
        "--request",
        metavar="FILE",
        default="-",
        help="a request's body, for --explain-mapping (default: standard input)",
    )
    add(
        "--header",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a header of that request; may be given several times",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT, or explains a mapping.

    Raises:
        TipstaffError: A setting is invalid, or the gateway can't start.
    """
    if args.explain_mapping:
        return _explain(args)
    # Otherwise gRPC's core writes its own lines about a taken port beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    names = [each.name for each in dataclasses.fields(Settings)]
    settings = Settings(**{name: getattr(args, name) for name in names})
    from tipstaff_gateway.process import serve

    serve(settings)
    return 0


def _explain(args: argparse.Namespace) -> int:
    from tipstaff.errors import UsageError
    from tipstaff_gateway.explain import explain
    from tipstaff_gateway.mapping import load_mapping

    headers: dict[str, str] = {}
    for each in args.header:
        name, colon, value = each.partition(":")
        if not colon or not name:
            raise UsageError("give NAME:VALUE", field="header", value=repr(each))
        headers[name.strip()] = value.strip()
    try:
        body = sys.stdin.buffer.read() if args.request == "-" else Path(args.request).read_bytes()
    except OSError as error:
        why = f"can't be read: {error.strerror}"
        raise UsageError(why, field="request", value=args.request) from None
    mapping = load_mapping(args.mapping)[args.explain_mapping]
    origin = "standard input" if args.request == "-" else args.request
    for line in explain(args.explain_mapping, mapping, body, headers, origin):
        print(line)
    return 0
