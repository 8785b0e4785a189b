"""The shape of the code, held by a machine. The limits may only tighten; CONTRIBUTING.md states the same."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.repo import exports, tree

FILE_LINES = 500
FUNCTION_LINES = 70
PARAMETERS = 8

# The outermost doors, where anything at all may arrive and must become a sentence, a refusal or an unknown
# outcome. Each is named with the number of broad excepts it needs.
DOORS = {
    "cli/main.py": 1,  # a person at a terminal gets one sentence, never a traceback
    "control/server.py": 1,  # a caller of the local socket gets one sentence, and the log the rest
    "daemon/__main__.py": 1,  # whoever started the daemon is told that it ended
    "kernel/judge.py": 1,  # an effector: whatever broke it off, the outcome is unknown
    "runner/main.py": 2,  # a stranger's code: loading a pack, running a step
    "store/group.py": 1,  # a commit: nobody who waits for it may wait for ever
}

MUTABLE_CALLS = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict"}
MUTATORS = {
    "append",
    "add",
    "update",
    "pop",
    "popitem",
    "clear",
    "extend",
    "insert",
    "remove",
    "discard",
    "setdefault",
}
# A letter in brackets keeps this file from finding itself.
SPOKEN_OF = re.compile(r"/wor[k]/(main|shared)|/roo[t]/|/hom[e]/|/op[t]/|/User[s]/")
REGISTRY = re.compile(r"pyp[i]\.|pythonhoste[d]\.|npmj[s]\.|(?<!emit-)index-ur[l]|(?<!emit-)find-link[s]")
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E])\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree.parsed(path)) if isinstance(node, Function))


def parameters(function: Function) -> int:
    """How many things a caller passes: `self` and `cls` are not among them."""
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, [spec.vararg, spec.kwarg])]
    return len([argument for argument in named if argument.arg not in ("self", "cls")])


def test_a_file_tells_one_story() -> None:
    long = [
        f"{tree.place(path)} has {count} lines"
        for path in tree.python()
        if (count := _lines(path)) > FILE_LINES
    ]
    assert long == []


def test_a_function_fits_on_a_page() -> None:
    long = [
        f"{tree.place(path, node)} {node.name} has {count} lines"
        for path in tree.python()
        for node in functions(path)
        if (count := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


def test_a_function_takes_few_parameters() -> None:
    many = [
        f"{tree.place(path, node)} {node.name} takes {parameters(node)}"
        for path in tree.python()
        for node in functions(path)
        if parameters(node) > PARAMETERS
    ]
    assert many == []


def test_every_module_says_why_it_exists() -> None:
    assert [tree.place(path) for path in tree.product() if ast.get_docstring(tree.parsed(path)) is None] == []


def test_nothing_is_global() -> None:
    found = [
        tree.place(path, node)
        for path in tree.python()
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Global)
    ]
    assert found == []


def test_no_module_keeps_state() -> None:
    assert [line for path in tree.product() for line in module_state(path, tree.parsed(path))] == []


def test_module_state_is_seen_when_it_is_there() -> None:
    text = "seen = []\nTABLE = {1: 2}\nCACHE: dict[str, int] = {}\ndef f(): CACHE['a'] = 1\n"
    found = list(module_state(tree.SOURCE / "example.py", ast.parse(text)))
    assert [line.split(" ", 1)[1] for line in found] == ["seen is mutable", "CACHE is changed"]


def test_broad_excepts_stand_only_at_the_outermost_doors() -> None:
    found: Counter[str] = Counter()
    for path in tree.product():
        for node in ast.walk(tree.parsed(path)):
            if is_broad(node):
                found[path.relative_to(tree.SOURCE).as_posix()] += 1
    assert found == Counter(DOORS)


def test_the_root_holds_the_version_alone() -> None:
    docstring, version = tree.parsed(tree.SOURCE / "__init__.py").body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(version, ast.Assign)
    assert re.fullmatch(r"__version__ = '\d+\.\d+\.\d+'", ast.unparse(version))


def test_what_packages_export_is_what_was_agreed() -> None:
    """When a change is meant: `python -m tests.repo.exports`, and let the diff be read."""
    assert exports.lines() == exports.GOLDEN.read_text().splitlines()


def test_every_package_says_what_it_exports() -> None:
    assert [name for name, names in tree.packages() if names is None] == []


def test_no_file_speaks_of_a_machine_or_a_registry() -> None:
    found = []
    for path in tree.files():
        for number, line in enumerate(_text(path).splitlines(), 1):
            if SPOKEN_OF.search(line) or REGISTRY.search(line):
                found.append(f"{path.relative_to(tree.ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    found = []
    for path in tree.files():
        for number, line in enumerate(_text(path).splitlines(), 1):
            if UNFINISHED.search(line):
                found.append(f"{path.relative_to(tree.ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_the_guide_states_these_limits() -> None:
    guide = (tree.ROOT / "CONTRIBUTING.md").read_text()
    assert (
        f"{FILE_LINES} lines a file, {FUNCTION_LINES} lines and {PARAMETERS} parameters a function" in guide
    )


def is_broad(node: ast.AST) -> bool:
    """Whether a node swallows everything: a bare except, Exception or BaseException, or their suppression.

    A handler that cleans up and ends with `raise` swallows nothing.
    """
    if isinstance(node, ast.ExceptHandler):
        if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
            return False
        return node.type is None or bool({"Exception", "BaseException"} & set(_names(node.type)))
    if isinstance(node, ast.Call) and "suppress" in _names(node.func):
        return any({"Exception", "BaseException"} & set(_names(argument)) for argument in node.args)
    return False


def module_state(path: Path, module: ast.Module) -> Iterator[str]:
    """Names bound at module level to something mutable; a table in capitals is fine if nothing changes it."""
    tables = {}
    for node in module.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not _is_mutable(node.value):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if not isinstance(target, ast.Name) or target.id == "__all__":
                continue
            if target.id.isupper():
                tables[target.id] = node
            else:
                yield f"{tree.place(path, node)} {target.id} is mutable"
    changed = {name for node in ast.walk(module) for name in _changed(node)}
    for name in sorted(changed & tables.keys()):
        yield f"{tree.place(path, tables[name])} {name} is changed"


def _is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return bool(MUTABLE_CALLS & set(_names(value.func)))
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changed(node: ast.AST) -> Iterator[str]:
    """The names whose content a node changes."""
    if (
        isinstance(node, ast.Subscript)
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Name)
    ):
        yield node.value.id
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    if isinstance(node, ast.Attribute) and node.attr in MUTATORS and isinstance(node.value, ast.Name):
        yield node.value.id


def _names(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def _text(path: Path) -> str:
    """A file's words; a picture has none."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")
