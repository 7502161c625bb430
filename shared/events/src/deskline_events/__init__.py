"""What the services say to one another: envelope, topics, catalogue, event models."""
