#!/usr/bin/env python3
"""A program that takes items in batches: paths of files, whose words it counts.

jobs.yaml says how to run it, docs/work-queues.md what it says over its socket.
"""

import http.client
import json
import os
import socket


class Items(http.client.HTTPConnection):
    """The items of the pod."""

    def __init__(self):
        super().__init__("items")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.environ["DROVER_ITEMS_SOCKET"])

    def post(self, path, body=None):
        """Returns the status and what the answer says."""
        self.request("POST", path, None if body is None else json.dumps(body))
        response = self.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def take(self, most):
        """Gives items until all are done."""
        while True:
            status, answer = self.post(f"/next?max={most}&wait=60")
            if status == 410:
                return
            if status == 200:
                yield from answer["items"]
            elif status != 204:  # none came: ask again
                raise RuntimeError(answer["error"])

    def say(self, item, what, body):
        """Says what became of an item."""
        status, answer = self.post(f"/items/{item['id']}/{what}", body)
        if status != 204:
            raise RuntimeError(answer["error"])


items = Items()
for item in items.take(most=10):
    try:
        with open(item["data"], encoding="utf-8") as file:
            words = sum(len(line.split()) for line in file)
    except (OSError, UnicodeDecodeError) as error:
        items.say(item, "fail", {"error": str(error), "retry": False})
    else:
        items.say(item, "complete", {"words": words})
