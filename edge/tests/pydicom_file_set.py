"""Prints the instances of a file-set, one JSON object a line, as pydicom finds them by its DICOMDIR."""

import json
import sys
from pathlib import Path

from pydicom import dcmread
from pydicom.fileset import FileSet

root = Path(sys.argv[1])
files = FileSet(root / "DICOMDIR")
for instance in files:
    path = Path(instance.path)
    file = dcmread(path)
    print(
        json.dumps(
            {
                "path": str(path.relative_to(root)),
                "patient": str(instance.PatientName),
                "uids": [
                    instance.PatientID,
                    instance.StudyInstanceUID,
                    instance.SeriesInstanceUID,
                    instance.SOPInstanceUID,
                ],
                "tree": [node.record_type for node in reversed([instance.node, *instance.node.ancestors])],
                "same": instance.SOPInstanceUID == file.SOPInstanceUID
                and instance.StudyInstanceUID == file.StudyInstanceUID
                and instance.SeriesInstanceUID == file.SeriesInstanceUID
                and instance.PatientID == file.get("PatientID", "")
                and str(instance.PatientName) == str(file.get("PatientName", "")),
            },
            ensure_ascii=False,
        )
    )
