"""Atomic writing of files and folders, and reading with errors that name the file."""
