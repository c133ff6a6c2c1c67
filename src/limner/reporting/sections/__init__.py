"""The parts of the page, one file each: a function from what was read to HTML."""
