"""The verbs on the command line, one short file a verb."""
