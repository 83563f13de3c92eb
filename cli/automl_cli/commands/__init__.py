"""One module for each command; heavy imports happen inside the functions."""
