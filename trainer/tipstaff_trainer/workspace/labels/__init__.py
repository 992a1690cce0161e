"""Labels by criterion: the append-only log, what counts, scores and named cases."""
