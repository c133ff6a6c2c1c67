"""Groups of options that belong together, such as those of several commands: fields of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of its parameters that are dataclasses.

    Fields are declared like parameters of a command: ``flips: Annotated[bool, typer.Option(...)] = True``.
    The command itself receives an object of the dataclass.
    """
    groups = {}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        group = parameter.annotation
        if isinstance(group, type) and is_dataclass(group):
            fields = inspect.signature(group).parameters
            groups[parameter.name] = (group, tuple(fields))
            options += fields.values()
        else:
            options.append(parameter)

    @wraps(command)
    def run(**values: object) -> None:
        for name, (group, fields) in groups.items():
            values[name] = group(**{field: values.pop(field) for field in fields})
        command(**values)

    # Typer reads these; without an order of places, options with and without a default may be mixed.
    shown = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run
