"""The rooms of the source: what may import what, and that nothing imports in a circle."""

import ast
from pathlib import Path

import estep

ROOT = Path(estep.__file__).parent
ORDER = (
    "statistics", "util", "kernels", "parameters", "tables", "data", "interface", "priors", "execution",
    "emissions", "latents", "inference", "model", "algorithms", "fitting", "io", "datasets", "plots", "reports",
    "estimators", "compat", "cli",
)  # fmt: skip
"""A room imports only from those before it, and from itself."""


def modules():
    """Modules by name, with the path of each."""
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__") if name != "__init__" else ""] = path
    return found


def imports(path, known):
    """The modules of the package that a file imports, wherever in the file; those for types alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "estep":
            home = node.module[6:]
            for alias in node.names:
                full = f"{home}.{alias.name}".lstrip(".")
                yield full if full in known else home
        elif isinstance(node, ast.Import):
            yield from (alias.name[6:] for alias in node.names if alias.name.startswith("estep."))


def test_rooms_import_from_earlier_ones_alone():
    known = modules()
    wrong = []
    for name, path in known.items():
        room = name.split(".")[0]
        if room in ("", "__main__"):
            continue
        for other in imports(path, known):
            if other and ORDER.index(other.split(".")[0]) > ORDER.index(room):
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_no_module_imports_in_a_circle():
    known = modules()
    graph = {
        name: {o for o in imports(path, known) if o in known and o != name} for name, path in known.items() if name
    }
    done, path = set(), []

    def visit(name):
        assert name not in path, f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done or not name:
            return
        path.append(name)
        for other in sorted(graph.get(name, ())):
            visit(other)
        path.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


def test_packages_and_their_modules():
    """A folder's own module counts as importing what it exports; modules of a folder do not import it back."""
    known = modules()
    for name, path in known.items():
        package = name.rpartition(".")[0]
        if package and known.get(package, Path()).name == "__init__.py":
            own = set(imports(path, known))
            exports = set(imports(known[package], known))
            assert not (package in own and name in exports), f"{name} imports {package}, which imports it"
