"""A folder of text files that can be shared with others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._spec import TEXT, Row, ToolSpec, one_of, tool

if TYPE_CHECKING:
    from .world import World


def files_list(world: World, folder: str = "") -> list[Row]:
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    return [
        {"path": row["path"], "characters": len(row["content"]), "shared": row["shared"]}
        for path, row in sorted(world.files.items())
        if path.startswith(prefix)
    ]


def files_read(world: World, path: str) -> Row:
    return _file(world, path)


def files_search(world: World, query: str) -> list[Row]:
    words = query.lower().split()
    found = []
    for path, row in sorted(world.files.items()):
        if all(word in f"{path} {row['content']}".lower() for word in words):
            lines = [
                line for line in row["content"].splitlines() if any(word in line.lower() for word in words)
            ]
            found.append({"path": path, "lines": lines[:3]})
    return found


def files_write(world: World, path: str, content: str) -> Row:
    row = world.files.setdefault(path, {"path": path, "content": "", "shared": []})
    row["content"] = content
    return {"path": path, "characters": len(content)}


def files_append(world: World, path: str, content: str) -> Row:
    row = _file(world, path)
    return files_write(world, path, row["content"].rstrip("\n") + "\n" + content)


def files_rename(world: World, path: str, new_path: str) -> Row:
    row = _file(world, path)
    if new_path in world.files:
        raise ValueError(f"There is a file {new_path} already.")
    del world.files[path]
    world.files[new_path] = {**row, "path": new_path}
    return {"path": new_path}


def files_delete(world: World, path: str) -> Row:
    _file(world, path)
    del world.files[path]
    return {"deleted": path}


def files_share(world: World, path: str, person: str, right: str) -> Row:
    row = _file(world, path)
    row["shared"] = [entry for entry in row["shared"] if entry["person"] != person]
    row["shared"].append({"person": person, "right": right})
    return {"path": path, "shared": row["shared"]}


def tools() -> tuple[ToolSpec, ...]:
    path: Row = {"path": TEXT}
    return (
        tool(files_list, "List the files of a folder and of those below it.", {}, {"folder": TEXT}),
        tool(files_read, "Read one file.", path),
        tool(files_search, "Find files whose path or text contains every word.", {"query": TEXT}),
        tool(files_write, "Write a file, in place of one of the same path.", {**path, "content": TEXT}),
        tool(files_append, "Add text at the end of a file.", {**path, "content": TEXT}),
        tool(files_rename, "Give a file another path.", {**path, "new_path": TEXT}),
        tool(files_delete, "Delete a file.", path),
        tool(
            files_share,
            "Let a person, named by mail address, read or edit a file.",
            {**path, "person": TEXT, "right": one_of("read", "edit")},
        ),
    )


def _file(world: World, path: str) -> Row:
    if path not in world.files:
        raise ValueError(f"There is no file {path}.")
    return world.files[path]
