"""Labels by criterion: the append-only log, effective labels, label sets, scores, named cases."""
