"""Fetches a page and prints its title; waits up to ten seconds for the first answer. argv: the URL."""

import re
import sys
import time
import urllib.request


def main() -> int:
    deadline = time.monotonic() + 10
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no route to the cluster
    while True:
        try:
            with opener.open(sys.argv[1], timeout=3) as answer:
                page = answer.read().decode(errors="replace")
                found = re.search(r"<title>(.*?)</title>", page, re.S)
                print(f"HTTP {answer.status}: {found.group(1).strip() if found else page[:60]!r}")
                return 0
        except OSError as error:
            if time.monotonic() > deadline:
                print(error)
                return 1
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
