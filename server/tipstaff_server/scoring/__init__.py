"""How a request is scored: encoded, queued, run, decided, and explained."""
