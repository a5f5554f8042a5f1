"""An edit that would break orders in flight does not pass unseen."""

import json

from tests.workflows.fingerprint import KEPT, differences, fingerprints, of_source

ADVICE = """
The commands of a workflow have changed. Orders in flight replay their histories with the new code, so:
  1. put the new commands behind `if workflow.patched("a-descriptive-id"):` and leave the old ones in the other branch;
  2. record a history of each shape of order that the change makes possible: python -m tests.workflows.record NAME
  3. run tests/workflows/test_replay.py: every history, old and new, must replay;
  4. write the fingerprint down anew and commit it: python -m tests.workflows.fingerprint
"""
BEFORE = """
class Story:
    async def run(self):
        await self.reserve()
        while True:
            await keep_record(StockKeeper.commit, request)
"""


def test_the_commands_of_the_workflows_are_those_written_down() -> None:
    changed = differences(json.loads(KEPT.read_text()), fingerprints())
    assert not changed, ADVICE + "\n".join(changed)


def test_what_is_written_down_names_functions_activities_and_loops() -> None:
    assert dict(of_source(BEFORE, "m")) == {
        "m.Story.run": ["await self.reserve()", "while await keep_record(StockKeeper.commit)"]
    }


def test_another_order_of_commands_is_seen() -> None:
    after = BEFORE.replace("await self.reserve()", "await asyncio.sleep(1)")
    assert differences(dict(of_source(BEFORE, "m")), dict(of_source(after, "m")))


def test_words_alone_are_no_difference() -> None:
    after = BEFORE.replace("request)", 'request, summary="Other words")')
    assert not differences(dict(of_source(BEFORE, "m")), dict(of_source(after, "m")))
