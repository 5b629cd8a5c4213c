"""The configuration file that `config init` writes: every key with its meaning and default."""

from gradmc.config.schema import SECTIONS, toml_value

DATA = """[data]
file = "data.json"                      # .json .csv .npz .parquet, or one entry per name:
# y = { file = "schools.csv", column = "effect" }
# K = 3
# extra = "ignore"                      # leave out what the file has beyond what the model takes
"""


def template(target: str = "model.py:NAME") -> str:
    """A commented configuration; keys with a default are commented out."""
    parts = ["# Paths are relative to this file. `gradmc config show` says where each value comes from.\n"]
    for name, section in SECTIONS.items():
        parts.append(f"[{name}]")
        for key, field in section.model_fields.items():
            if field.is_required():
                parts.append(f"{key} = {toml_value(target):<30} # {field.description}")
                continue
            value = field.default if field.default not in (None, "", [], {}) else (field.examples or [""])[0]
            parts.append(f"# {f'{key} = {toml_value(value)}':<37} # {field.description}")
        parts.append("")
        if name == "model":
            parts.append(DATA)
    return "\n".join(parts)
