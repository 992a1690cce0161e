"""The review queue: choosing rows for people, handing them out, recording labels."""
