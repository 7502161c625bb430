"""Commands: one function each; load, decide, save."""
