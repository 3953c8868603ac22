"""Writes test/vectors/event-file.json: an event file as TensorBoard's own writer makes it.

python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0
venv/bin/python test/vectors/event-file.py > test/vectors/event-file.json
"""

import io
import json

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

STEPS = [
    (0, {"training/meanReturn": 22.5, "network/rejected": 0.0}),
    (1, {"training/approxKl": -0.0016140876046847551}),
    (300, {"training/meanReturn": 500.0}),
    (2**40, {"a": 1.0}),
]


class Kept(io.BytesIO):
    def close(self):
        pass


out = Kept()
writer = RecordWriter(out)
writer.write(event_pb2.Event(file_version="brain.Event:2").SerializeToString())
for step, scalars in STEPS:
    values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    event = event_pb2.Event(wall_time=step, step=step, summary=summary_pb2.Summary(value=values))
    writer.write(event.SerializeToString())
writer.flush()
print(json.dumps({"steps": STEPS, "file": out.getvalue().hex()}, indent=1))
