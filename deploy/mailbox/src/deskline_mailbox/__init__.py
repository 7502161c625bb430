"""The mailbox: takes every mail that a deployment on trial sends, and shows it."""
