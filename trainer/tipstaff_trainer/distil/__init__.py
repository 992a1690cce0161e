"""From labelled rows to a trained model, in torch."""
