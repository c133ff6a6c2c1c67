"""Groups of images by a part of their names, as ``limner split --group`` makes them."""

import re
from collections.abc import Collection, Sequence


def group_in(file: str, expression: re.Pattern[str]) -> str | None:
    """Return the group of an image: the match of the expression's groups, else the whole match; None without.

    Args:
        file: The image, relative to the dataset folder.
        expression: Searched in it.
    """
    found = expression.search(file)
    if found is None:
        return None
    return "/".join(part or "" for part in found.groups()) if found.groups() else found.group()


def expression_for(
    groups: Collection[Sequence[str]], others: Collection[str], candidates: Sequence[str]
) -> str | None:
    """Return the first expression that makes exactly these groups, or None.

    Args:
        groups: The images of each group.
        others: The images in no group; each may be a group of its own.
        candidates: Expressions to try, the simplest first.
    """
    return next((one for one in candidates if _makes(re.compile(one), groups, others)), None)


def _makes(expression: re.Pattern[str], groups: Collection[Sequence[str]], others: Collection[str]) -> bool:
    keys = [{group_in(file, expression) for file in group} for group in groups]
    united = {key for found in keys for key in found}
    alone = {group_in(file, expression) for file in others}
    return (
        all(len(found) == 1 for found in keys)
        and len(united) == len(groups) > 1
        and None not in united | alone
        and not united & alone
    )
