"""Holds files to the size budget: warn above 600 lines, fail above 1,000 unless listed here with a reason."""

import statistics
import sys
from pathlib import Path

WARN, FAIL, MEDIAN = 600, 1000, 150
EXCEPTIONS: dict[str, str] = {}


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    sizes = {
        str(path.relative_to(root)): len(path.read_text().splitlines()) for path in sorted((root / "src").rglob("*.py"))
    }
    failed = False
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size > FAIL and name not in EXCEPTIONS:
            print(f"too large: {name} has {size} lines (limit {FAIL}): split it along its parts")
            failed = True
        elif size > WARN:
            print(f"large: {name} has {size} lines (warning above {WARN})")
    for name in EXCEPTIONS:
        if sizes.get(name, 0) <= FAIL:
            print(f"{name} no longer needs its exception")
            failed = True
    median = statistics.median(size for size in sizes.values() if size)
    print(f"{len(sizes)} files, {sum(sizes.values())} lines, median {median:.0f} (budget {MEDIAN})")
    return 1 if failed or median > MEDIAN else 0


if __name__ == "__main__":
    sys.exit(main())
