"""JSON schemas, which releases of pydantic write differently."""


def without_repetition(schema):
    """Older pydantic states a constant twice: `const` 2 and `enum` [2]."""
    if isinstance(schema, dict):
        is_twice = "const" in schema and schema.get("enum") == [schema["const"]]
        return {k: without_repetition(v) for k, v in schema.items() if not (is_twice and k == "enum")}
    return [without_repetition(item) for item in schema] if isinstance(schema, list) else schema
