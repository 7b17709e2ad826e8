"""An archive that commits itself to what it has got: late, twice, and once says that it has lost something.

    pynetdicom_archive.py PORT STATION_PORT

Prints a line for each instance that is stored and for each answer that the station has taken.
"""

import sys
import threading
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    StorageCommitmentPushModel,
)

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
port, station_port = int(sys.argv[1]), int(sys.argv[2])
asked = []


def say(*words):
    print(*words, flush=True)


def stored(event):
    say("stored", event.request.AffectedSOPInstanceUID)
    return 0x0000


def report(question, number):
    """Answers on an association of its own, and again."""
    time.sleep(1)
    items = list(question.ReferencedSOPSequence)
    answer = Dataset()
    answer.TransactionUID = question.TransactionUID
    failed = []
    if number == 0:
        lost = items.pop(0)
        lost.FailureReason = 0x0112
        failed = [lost]
    if items:
        answer.ReferencedSOPSequence = items
    if failed:
        answer.FailedSOPSequence = failed
    entity = AE(ae_title="PACS")
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    line = entity.associate("127.0.0.1", station_port, ae_title="PLUMBLINE", ext_neg=[role])
    assert line.is_established, "the station does not listen"
    for _ in range(2):
        kind = 2 if failed else 1
        status, _ = line.send_n_event_report(answer, kind, StorageCommitmentPushModel, WELL_KNOWN)
        say("answered", f"{status.Status:04X}", len(items), len(failed))
    line.release()


def action(event):
    question = event.action_information
    asked.append(question)
    threading.Thread(target=report, args=(question, len(asked) - 1)).start()
    return 0x0000, None


entity = AE(ae_title="PACS")
for context in (Comprehensive3DSRStorage, SecondaryCaptureImageStorage):
    entity.add_supported_context(context)
entity.add_supported_context(StorageCommitmentPushModel)
handlers = [(evt.EVT_C_STORE, stored), (evt.EVT_N_ACTION, action)]
entity.start_server(("127.0.0.1", port), evt_handlers=handlers)
