"""The one door for people: tokens, rights, routes to the owners."""
