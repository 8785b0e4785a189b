"""Write down what each package exports: `python -m tests.repo.exports`. A review reads the diff."""

from tests.repo import tree

GOLDEN = tree.ROOT / "tests" / "repo" / "exports.txt"


def lines() -> list[str]:
    """One line a package, sorted."""
    return sorted(f"{name}: {' '.join(names or ['(nothing)'])}" for name, names in tree.packages())


if __name__ == "__main__":
    GOLDEN.write_text("\n".join(lines()) + "\n")
