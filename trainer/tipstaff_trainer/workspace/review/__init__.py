"""The review queue: which rows wait for people, and why."""
