"""The gateway: other protocols in front of a Tipstaff server. Knows only the client."""
