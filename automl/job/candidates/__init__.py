"""Kinds of network that compete in the front of a job: how each is made, entered and rebuilt."""
