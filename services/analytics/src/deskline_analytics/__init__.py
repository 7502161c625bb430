"""Read models and the analysts' SQL views."""
