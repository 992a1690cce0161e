"""`tipstaff certificates`: a certificate authority of one's own, to try TLS with."""

from __future__ import annotations

import argparse

FLAGS = {"out": "DIR"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    from tipstaff_server.access.authority import CertificatesRequest
    from tipstaff_server.cli.options import add_options

    parser.epilog = (
        "Run again, it renews the certificates under the same authority. For trying TLS and for "
        "tests; the authority's key lies beside the others."
    )
    add_options(parser, CertificatesRequest, flags=FLAGS)


def run(args: argparse.Namespace) -> int:
    """Makes the files, and prints their paths.

    Raises:
        TipstaffError: The folder can't be written.
    """
    from tipstaff_server.access.authority import CertificatesRequest, make_certificates
    from tipstaff_server.cli.options import given

    for path in make_certificates(CertificatesRequest.parse(given(CertificatesRequest, args))):
        print(path)
    return 0
