"""`python -m limner`: the command line, for launchers that start modules."""

from limner.cli.app import main

main()
