"""Sends films to a station with pynetdicom, as an X-ray unit and as an odd one would.

    python pynetdicom_sender.py PORT FILM
"""

import sys
from threading import Thread

from pydicom import dcmread
from pydicom.uid import (ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid)
from pynetdicom import AE, build_role
from pynetdicom.sop_class import (ComputedRadiographyImageStorage,
                                  DigitalXRayImageStorageForPresentation, Verification)

port, path = int(sys.argv[1]), sys.argv[2]
failures = []


def entity(most_pdu=16382):
    ae = AE("UNIT")
    ae.maximum_pdu_size = most_pdu
    for context in [Verification, ComputedRadiographyImageStorage,
                    DigitalXRayImageStorageForPresentation]:
        ae.add_requested_context(context, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    return ae


def expect(what, got, wanted):
    if got != wanted:
        failures.append(f"{what}: {got!r}, not {wanted!r}")


def send(most_pdu, count):
    association = entity(most_pdu).associate("127.0.0.1", port, ae_title="PLUMBLINE")
    expect(f"established with {most_pdu}", association.is_established, True)
    film = dcmread(path)
    for _ in range(count):
        film.SOPInstanceUID = generate_uid()
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        expect("store", association.send_c_store(film).Status, 0)
    expect("echo", association.send_c_echo().Status, 0)
    association.release()
    expect("released", association.is_released, True)


# Four at a time, one of which takes PDUs of any length.
senders = [Thread(target=send, args=(most_pdu, 6)) for most_pdu in [0, 1018, 16382, 1 << 20]]
for sender in senders:
    sender.start()
for sender in senders:
    sender.join()

# Role selection is not offered, and hurts nobody.
role = build_role(DigitalXRayImageStorageForPresentation, scp_role=True, scu_role=True)
association = entity().associate("127.0.0.1", port, ae_title="PLUMBLINE", ext_neg=[role])
expect("with roles", association.is_established, True)
association.abort()

association = entity().associate("127.0.0.1", port, ae_title="OTHER")
expect("another name", association.is_established, False)

print("\n".join(failures) or "all as expected")
sys.exit(bool(failures))
