"""Where notify keeps what it knows, and how it reaches the provider."""
