"""The command line: `gradmc COMMAND`."""
