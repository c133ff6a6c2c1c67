"""Networks of queries: objects, segments and boxes."""
