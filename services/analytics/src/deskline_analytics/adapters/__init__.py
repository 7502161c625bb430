"""What keeps the rebuild and the live reader apart."""
