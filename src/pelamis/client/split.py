"""A client that reads as one identity and writes as another.

All controllers read as the controller manager, whose views they share, and write each as itself.
"""

from __future__ import annotations

from pelamis.client.types import Client


class SplitClient:
    def __init__(self, reader: Client, writer: Client) -> None:
        self.view = reader.view
        self.release = reader.release
        self.get = reader.get
        self.list = reader.list
        self.watch = reader.watch
        self.commit = writer.commit
        self.post = writer.post
        self.fetch = writer.fetch
