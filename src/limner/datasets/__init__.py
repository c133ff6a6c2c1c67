"""A labelled folder as a whole: checked, drawn, divided, and converted to another format."""
