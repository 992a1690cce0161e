"""Files of secrets and of TLS: read, tried, and followed while a process runs."""

from tipstaff.access_files.certificates import (
    Credentials,
    TlsFiles,
    load_client_files,
    load_credentials,
    load_pair,
    watch_credentials,
)
from tipstaff.access_files.files import read_file, read_private
from tipstaff.access_files.watched import Watched

__all__ = [
    "Credentials",
    "TlsFiles",
    "Watched",
    "load_client_files",
    "load_credentials",
    "load_pair",
    "read_file",
    "read_private",
    "watch_credentials",
]
