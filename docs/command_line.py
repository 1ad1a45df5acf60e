"""A page of the command line's options, made from the commands themselves."""

from pathlib import Path

ORDER = (
    "fit", "select", "score", "decode", "forecast", "impute", "sample", "plot", "animate", "report", "adapt", "convert",
    "info", "demo",
)  # fmt: skip
TARGET = Path(__file__).parent / "options.md"
HEAD = """# All commands and options

Made from the commands' own help. What they are for: {doc}`command_line`.

"""


def setup(app):
    """Writes the page before Sphinx looks for pages."""
    app.connect("builder-inited", lambda app: TARGET.write_text(page(), encoding="utf-8"))
    return {"parallel_read_safe": True}


def page():
    """The page as text."""
    import typer

    from estep.cli.app import app

    group = typer.main.get_command(app)
    assert set(group.commands) == set(ORDER), "a command is missing from this page"
    return HEAD + "\n".join(_command(name, group.commands[name]) for name in ORDER)


def _command(name, command):
    text, _, example = (command.help or "").strip().partition("\n\n")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(_metavar(a) for a in arguments)
    out = [
        f"## estep {name}",
        "",
        " ".join(text.split()),
        "",
        "```",
        f"estep {name} {usage} [OPTIONS]".replace("  ", " "),
    ]
    out += [line.strip() for line in example.splitlines() if line.strip()] + ["```", ""]
    rows = [(f"`{_metavar(a)}`", a.help or "", "") for a in arguments]
    rows += [(", ".join(f"`{o}`" for o in (*p.opts, *p.secondary_opts)), p.help or "", _default(p)) for p in options]
    out += ["| option | what | default |", "|---|---|---|"]
    out += ["| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(out) + "\n"


def _metavar(argument):
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _default(option):
    value = option.default
    return "" if value is None or value is False or callable(value) else f"`{value}`"
