"""Pages of the site that come from the code: the reference, the commands, the configuration, the gallery, the start."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import gradmc
from gradmc import lpdf
from gradmc.cli.app import build_app
from gradmc.config.schema import SECTIONS, toml_value

ROOT = Path(__file__).resolve().parents[2]

REFERENCE = {
    "sampling": (
        "Sampling",
        [
            *["sample", "sample_many", "start", "Handle", "Keep", "Targets", "SamplingWarning", "sample_prior"],
            *["optimize", "approximate"],
        ],
    ),
    "models": (
        "Models and densities",
        [
            "model",
            "Model",
            "observe",
            "record",
            "marginalize",
            "external",
            "explain",
            "check",
            "calibrate",
            "density",
            "Density",
            "prior_density",
            "from_logdensity",
            "from_numpyro",
        ],
    ),
    "results": ("Results", ["diagnose", "loo", "report", "predict", "draw_states", "without_chains"]),
    "engine": (
        "Parts of the engine",
        [
            "Nuts",
            "Hmc",
            "Microcanonical",
            "Chees",
            "Sghmc",
            "Warmup",
            "Pooled",
            "TrajectoryLength",
            "LowRank",
            "Diagonal",
            "Dense",
            "Pathfinder",
            "Uniform",
            "Threads",
            "Batch",
        ],
    ),
}
"""Page -> title and public names; `test_every_public_name_has_its_place` counts them."""

INTRODUCTION = """# Models

Programs that come with gradmc, with public data. `gradmc sample models/NAME/run.toml` runs one in a checkout of the
repository.
"""


def on_files(files: Files, config: Any) -> Files:
    """Add what is generated to the pages written by hand."""
    pages = {f"reference/{name}.md": reference(*content) for name, content in REFERENCE.items()}
    pages["reference/lpdf.md"] = log_densities()
    pages["reference/commands.md"] = commands()
    pages["reference/configuration.md"] = configuration()
    pages["gallery.md"] = gallery()
    pages["index.md"] = start()
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for picture in sorted((ROOT / "models").glob("*/picture.png")):
        files.append(File.generated(config, f"pictures/{picture.parent.name}.png", abs_src_path=str(picture)))
    return files


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The script that lets search work from a disk comes with the site (iframe-worker, by M. Donath, MIT)."""
    own = "../" * page.url.count("/") + "assets/iframe-worker/index.js"
    return output.replace("https://unpkg.com/iframe-worker/shim", own)


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """The same for the page that says that there is no such page."""
    return output.replace("https://unpkg.com/iframe-worker/shim", "/assets/iframe-worker/index.js")


def reference(title: str, names: list[str]) -> str:
    """A page of docstrings."""
    parts = [f"# {title}"]
    for name in names:
        home = gradmc._HOME[name]
        parts.append(f"::: {home_of(home, name)}.{name}\n    options:\n      heading: gm.{name}")
    return "\n\n".join(parts) + "\n"


def home_of(module: str, name: str) -> str:
    """The module in which a public name is written down."""
    return getattr(getattr(gradmc, name), "__module__", module)


def log_densities() -> str:
    """All log densities, with their arguments as their docstrings have them."""
    parts = [
        "# Log densities",
        "`from gradmc.lpdf import normal`. All take numbers and arrays, sum over the entries of `y`, and return one "
        "term per entry with `pointwise=True`. [Their names elsewhere](../distributions.md) have a page of their own.",
    ]
    for name in sorted(lpdf.__all__):
        function = getattr(lpdf, name)
        if inspect.isfunction(function):
            arguments = ", ".join(str(p).split(":")[0] for p in inspect.signature(function).parameters.values())
            arguments = arguments.replace("pointwise", "pointwise=False")
            parts.append(f"## {name}\n\n```text\n{name}({arguments})\n```\n\n{listed(inspect.getdoc(function) or '')}")
    return "\n\n".join(parts) + "\n"


def listed(docstring: str) -> str:
    """A docstring with its arguments as a list."""
    text = re.sub(r"(?m)^(Args|Returns|Raises|References?):$", r"**\1**\n", docstring)
    return re.sub(r"(?m)^    (\w[\w, ]*): ", r"- `\1`: ", text)


def commands() -> str:
    """The commands with their options, by cyclopts."""
    text = build_app([]).generate_docs(output_format="markdown", recursive=True, heading_level=1)
    return re.sub(r"\n## Table of Contents\n.*?\n(?=\*\*Commands)", "\n", text, flags=re.DOTALL)


def configuration() -> str:
    """Every key of the configuration, with its meaning and default."""
    parts = [
        "# Configuration",
        "The keys of a run's TOML file; `gradmc config init` writes one, and the table `[data]` is described in "
        "[The command line](../command-line.md#the-configuration).",
    ]
    for section, model in SECTIONS.items():
        rows = ["| key | meaning | default | example |", "|---|---|---|---|"]
        for key, field in model.model_fields.items():
            default = "needed" if field.is_required() else "none" if field.default is None else code(field.default)
            example = code(field.examples[0]) if field.examples else ""
            rows.append(f"| `{key}` | {field.description} | {default} | {example} |")
        parts += [f"## [{section}] {{ #{section} }}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def code(value: Any) -> str:
    """A value as TOML, in a cell of a table."""
    return f"`{toml_value(value)}`".replace("|", "\\|")


def gallery() -> str:
    """The tour and the models that come with gradmc, each with the notebook that shows it."""
    parts = ["# Gallery", notebook(ROOT / "examples" / "tour.ipynb"), INTRODUCTION]
    for folder in sorted(path.parent for path in (ROOT / "models").glob("*/model.py")):
        readme = (folder / "README.md").read_text().replace("](picture.png)", f"](pictures/{folder.name}.png)")
        program = (folder / "model.py").read_text()
        parts.append(f"#{without_links(readme)}\n\n```python\n{program}```")
        if (shown := ROOT / "examples" / f"{folder.name}.ipynb").is_file():
            parts.append(f"`examples/{shown.name}` fits it and shows it:\n\n{code_of(shown)}")
    return "\n\n".join(parts) + "\n"


def notebook(path: Path) -> str:
    """A notebook as text and code."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        words = cell["cell_type"] == "markdown"
        parts.append(without_links(re.sub(r"(?m)^#", "##", text)) if words else f"```python\n{text}\n```")
    return "\n\n".join(parts)


def code_of(path: Path) -> str:
    """The code of a notebook."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return "```python\n" + "\n\n".join("".join(cell["source"]) for cell in cells) + "\n```"


def start() -> str:
    """README.md with its links turned to the pages of the site."""
    text = (ROOT / "README.md").read_text()
    text = re.sub(r"\]\(docs/(\w[^)]*)\)", r"](\1)", text).replace("](howto/)", "](howto/hierarchical.md)")
    return without_links(text)


def without_links(text: str) -> str:
    """Links to pages of the site stay; those to other files of the repository become their text."""

    def kept(match: re.Match[str]) -> str:
        words, target = match[1], match[2].removeprefix("../../docs/").removeprefix("../docs/")
        known = target.startswith(("http", "#", "pictures/")) or (ROOT / "docs" / target.split("#")[0]).is_file()
        return f"[{words}]({target})" if known else words

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", kept, text)
