"""Commands of the command line, one short file each."""
