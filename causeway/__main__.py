"""`python -m causeway`: the same as the command."""

from causeway.cli import main

main()
