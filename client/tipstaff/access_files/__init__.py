"""Files of secrets and of TLS, read, tried, and followed while a server or a gateway runs."""

from tipstaff.access_files.certificates import (
    Credentials,
    TlsFiles,
    check_client_files,
    load_credentials,
    load_pair,
)
from tipstaff.access_files.files import read_file, read_private
from tipstaff.access_files.watched import Watched

__all__ = [
    "Credentials",
    "TlsFiles",
    "Watched",
    "check_client_files",
    "load_credentials",
    "load_pair",
    "read_file",
    "read_private",
]
