"""`python -m sodslice` is the command line."""

from sodslice.cli import main

if __name__ == "__main__":
    main()
