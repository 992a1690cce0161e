"""Background jobs: their records, processes and folders; `operations` is what they do."""
