"""`python -m hashigo`."""

from hashigo.cli import main

main()
