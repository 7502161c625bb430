"""What the door reaches out to: its table of tokens, and the services that own the answers."""
