"""What a read model's row is and how an event changes it; pure."""
