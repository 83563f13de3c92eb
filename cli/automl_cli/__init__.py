"""The command ``automl``: reads arguments, calls the library, prints. No logic of its own."""
