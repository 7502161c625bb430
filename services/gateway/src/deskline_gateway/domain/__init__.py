"""What the door decides, pure: who may take which route, and which tokens and headers are good."""
