"""A million tickets: a few hundred real ones, multiplied into every store and announced by the relays."""
