"""The server's commands; `tipstaff.cli` is the shell that calls them."""
