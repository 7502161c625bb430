"""The door itself: HTTP of people in, HTTP of owners out."""
