"""causeway: move a live application service by service, and back at any second."""

__version__ = "0.1.0"
