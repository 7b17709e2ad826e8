"""Reads a report with highdicom, as TID 1500, and prints what it says as one JSON object."""

import json
import sys

from highdicom.sr import srread

report = srread(sys.argv[1])
content = report.content
told = {"revision": int(report.InstanceNumber), "probability": None}
groups = content.get_planar_roi_measurement_groups() or content.get_image_measurement_groups()
for group in groups:
    told["finding"] = group.finding_type.meaning
    told["probability"] = float(group.get_measurements()[0].value)
    told["corners"] = len(group.roi.value) if hasattr(group, "roi") else 0
container = next(
    item for item in content[0].ContentSequence if item.name.meaning == "Qualitative Evaluations"
)
told["evaluations"] = [
    f"{item.name.meaning}: {item.value.meaning}"
    for item in container.ContentSequence
    if item.ValueType == "CODE"
]
predecessors = getattr(report, "PredecessorDocumentsSequence", [])
told["predecessors"] = len(predecessors)
print(json.dumps(told))
