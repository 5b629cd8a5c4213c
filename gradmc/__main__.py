"""`python -m gradmc`: the command line, where its script is not on the path."""

from gradmc.cli.main import main

if __name__ == "__main__":
    main()
