"""Python functions of the commands, one file each."""
