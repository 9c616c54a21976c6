"""What the Python clients share: names, members as processes of their own, and one line of JSON a scenario."""

import json
import subprocess
import sys
import threading
import time
import traceback
import uuid

PARTITIONS = 4
PATIENCE_S = 45
SESSION_MS = 6000
# How long a member that its parent forgot goes on.
MEMBER_LIVES_S = 60


def fresh(what):
    """A name for a topic or group that nobody else uses."""
    return f"{what}-{uuid.uuid4().hex[:12]}"


def values(count, first=0):
    return [f"value {number} 中文 {'x' * 50}".encode() for number in range(first, first + count)]


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def deadline():
    end = time.monotonic() + PATIENCE_S

    def left():
        check(time.monotonic() < end, "time is over")
        return True

    return left


def report(scenario, result):
    print(json.dumps({"scenario": scenario, "result": result}), flush=True)


def failed(scenario):
    print(f"--- {scenario}", file=sys.stderr)
    traceback.print_exc()
    report(scenario, "fails")


def run(scenarios):
    """Runs name → function, or None where the client has no such thing."""
    for scenario, function in scenarios.items():
        if function is None:
            report(scenario, "lacks")
            continue
        try:
            function()
            report(scenario, "works")
        except BaseException:
            failed(scenario)


class Member:
    """A member of a group in a process of its own, which tells how many partitions it has."""

    def __init__(self, program, bootstrap, topic, group):
        self.assigned = 0
        command = [sys.executable, program, bootstrap, "member", topic, group]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.assigned = int(line)

    def kill_9(self):
        self.process.kill()
        self.process.wait()


def tell_assigned(count):
    """The other side of Member."""
    print(count, flush=True)
