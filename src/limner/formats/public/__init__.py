"""Layouts of public datasets, with the meaning of their mask values."""
