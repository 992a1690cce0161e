"""From a trained model to graphs that the server runs, and how far they are from it."""
