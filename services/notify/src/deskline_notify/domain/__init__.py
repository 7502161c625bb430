"""What notify decides: whom a fact is told to, and what the mail says; pure."""
