"""What nobody sees in a page or a mail: taken out before it becomes text, and counted.

Elements that a browser does not show (by attribute, style or a plain rule of a style sheet), text in the colour of its
ground, and characters without width. A page that hides by a script or by clever rules is not found out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

UNSEEN: Final = frozenset(
    {"script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "math", "canvas", "audio", "video",
     "head", "datalist"}
)  # fmt: skip
_ZERO_WIDTH: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ue000-\uf8ff]")
_NOT_SHOWN: Final = (
    re.compile(r"display\s*:\s*none"),
    re.compile(r"visibility\s*:\s*(hidden|collapse)"),
    re.compile(r"opacity\s*:\s*(0*\.?0+|0?\.0\d*)\s*(;|$|!)"),
    re.compile(r"font-size\s*:\s*(0*\.\d+|0+(\.\d+)?|1)\s*(px|pt|em|rem|%)?\s*(;|$|!)"),
    re.compile(r"font\s*:[^;]*\b0*[01](px|pt)\b"),
    re.compile(r"(?<![-\w])(max-)?(width|height)\s*:\s*0+(px)?\s*(;|$|!)"),
    re.compile(r"text-indent\s*:\s*-\d{3,}"),
    re.compile(r"(?<![-\w])(left|top|right|bottom|margin-left|margin-top)\s*:\s*-\d{3,}"),
    re.compile(r"clip(-path)?\s*:\s*(rect\(\s*0|rect\(\s*1px|inset\(\s*(50|100)%|circle\(\s*0)"),
    re.compile(r"transform\s*:\s*scale\(\s*0"),
)
_COLOUR: Final = re.compile(r"(?<![-\w])color\s*:\s*([^;!]+)")
_GROUND: Final = re.compile(r"(?<![-\w])background(?:-color)?\s*:\s*([^;!]+)")
_RULE: Final = re.compile(r"([^{}@]{1,2000})\{([^{}]{0,5000})\}")
_SIMPLE: Final = re.compile(r"(?:[a-z][a-z0-9]*)?(?:[.#][A-Za-z_][\w-]*)?")
_NAMED: Final[Mapping[str, str]] = {"white": "ffffff", "black": "000000", "snow": "fffafa", "ivory": "fffff0"}
_MAX_RULES: Final = 2_000
_NEAR: Final = 24


def clean(text: str) -> tuple[str, int]:
    """Return text without characters that have no width, and how many there were."""
    visible, count = _ZERO_WIDTH.subn("", text)
    return _CONTROL.sub("", visible.encode("utf-8", "replace").decode()), count


def take_out(root: Any) -> int:
    """Take out of a tree what is not shown; return how many elements with text there were."""
    rules = _rules(root)
    taken = 0
    for element in list(_shown(root)):
        if element.getparent() is None:
            continue
        tag = element.tag
        if not isinstance(tag, str) or tag in UNSEEN:
            _drop(element)
        elif _hides(element, rules):
            taken += bool("".join(element.itertext()).strip())
            _drop(element)
    return taken


def _shown(root: Any) -> Iterator[Any]:
    yield from root.iter()


def _drop(element: Any) -> None:
    """Take an element out and leave the text that follows it."""
    parent, tail = element.getparent(), element.tail
    before = element.getprevious()
    parent.remove(element)
    if tail:
        if before is not None:
            before.tail = (before.tail or "") + tail
        else:
            parent.text = (parent.text or "") + tail


def _hides(element: Any, rules: Mapping[str, str]) -> bool:
    if element.get("hidden") is not None or (element.tag == "input" and element.get("type") == "hidden"):
        return True
    style = _style(element, rules)
    if not style and not element.get("color"):
        return False
    if any(pattern.search(style) for pattern in _NOT_SHOWN):
        return True
    colour = _found(_COLOUR, style) or element.get("color") or ""
    return bool(colour) and _same(_parsed(colour), _ground(element, rules))


def _style(element: Any, rules: Mapping[str, str]) -> str:
    """Return what is said of an element's looks: by simple rules of the page's sheets, and by itself."""
    if not rules:
        return str(element.get("style") or "").lower()
    names = [element.tag]
    names += [f".{name}" for name in (element.get("class") or "").split()[:20]]
    if element.get("id"):
        names.append(f"#{element.get('id')}")
    said = [rules.get(name, "") for name in (*names, *(f"{element.tag}{name}" for name in names[1:]))]
    return ";".join([*filter(None, said), str(element.get("style") or "").lower()])


def _rules(root: Any) -> dict[str, str]:
    """Return what the page's style sheets say of a tag, a class or an id alone."""
    found: dict[str, str] = {}
    for sheet in root.iter("style"):
        text = re.sub(r"/\*.*?\*/", "", sheet.text or "", flags=re.DOTALL)
        for match in list(_RULE.finditer(text))[:_MAX_RULES]:
            for name in match[1].split(","):
                simple = name.strip()
                if simple and _SIMPLE.fullmatch(simple):
                    found[simple] = f"{found.get(simple, '')};{match[2].lower()}"
    return found


def _ground(element: Any, rules: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return the colour behind an element; white where nothing is said of it, None where it cannot be told."""
    current = element
    while current is not None and isinstance(current.tag, str):
        said = _found(_GROUND, _style(current, rules)) or current.get("bgcolor") or ""
        if said and "transparent" not in said:
            return _parsed(said)
        current = current.getparent()
    return (255, 255, 255)


def _found(pattern: re.Pattern[str], style: str) -> str:
    found = pattern.findall(style)
    return str(found[-1]).strip() if found else ""


def _parsed(text: str) -> tuple[int, int, int] | None:
    """Return a colour's parts; None for one that is written in another way."""
    word = text.strip().lower().split(" ")[0] if not text.strip().startswith("rgb") else text.strip().lower()
    word = _NAMED.get(word, word.removeprefix("#"))
    if re.fullmatch(r"[0-9a-f]{3}", word):
        word = "".join(letter * 2 for letter in word)
    if re.fullmatch(r"[0-9a-f]{6}", word):
        return int(word[:2], 16), int(word[2:4], 16), int(word[4:], 16)
    parts = re.findall(r"[\d.]+", word) if word.startswith("rgb") else []
    if len(parts) >= 4 and float(parts[3]) < 0.1:
        return None if len(parts) < 3 else (-1, -1, -1)
    return (int(float(parts[0])), int(float(parts[1])), int(float(parts[2]))) if len(parts) >= 3 else None


def _same(colour: tuple[int, int, int] | None, ground: tuple[int, int, int] | None) -> bool:
    if colour == (-1, -1, -1):
        return True
    if colour is None or ground is None:
        return False
    return all(abs(one - other) <= _NEAR for one, other in zip(colour, ground, strict=True))
