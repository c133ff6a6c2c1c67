"""Capabilities of a machine: processors, accelerators, number formats, memory."""
