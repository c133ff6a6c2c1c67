"""The page docs/settings.md: every setting of a plan, written from the fields of `Plan`."""

from pathlib import Path

from limner.core.config_problems import as_model
from limner.core.plan import Plan
from limner.core.settings_table import settings_table
from limner.planning.settings import FROM_THE_DATA
from limner.storage.whole_files import write_whole

START = """\
# Settings

Every setting of a [plan](plan.md). limner chooses them from the data; `limner plan DATA --all` shows the
values for your data, with reasons. Set one with `--set KEY=VALUE`, such as `--set train.steps=2000`, in
`plan.yaml` or a recipe, or in Python with `settings={"train": {"steps": 2000}}`. The value `auto` lets
limner decide.

The default is the value if no rule of the plan decides otherwise; settings marked *chosen* have none. `task`
is set by `--task`. The options of a network (`network.options`) are on [the page of the
networks](networks.md). This page is written by `make generate`.
"""


def settings_as_markdown() -> str:
    """Return the page."""
    parts = [START]
    for name, field in Plan.model_fields.items():
        model = as_model(field.annotation)
        if model is None or name in FROM_THE_DATA:
            continue
        lines = settings_table(model, f"{name}.", leave_out=FROM_THE_DATA)
        parts.append("\n".join([f"## {name}", "", (model.__doc__ or "").partition("\n")[0], "", *lines, ""]))
    return "\n".join(parts)


def write_settings_page(page: Path) -> None:
    """Write the page."""
    write_whole(page, settings_as_markdown())
