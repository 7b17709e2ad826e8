"""Films with marks in every text, and whether a mark is left, as pydicom sees it.

make SOURCE TARGET writes SOURCE with marks in all texts of pydicom's dictionary, nested and private ones too.
check SOURCE TARGET... requires that each TARGET, de-identified, has none, that what the profile's table names
is gone or changed, and that its pixels are SOURCE's.
"""

import sys

import pydicom
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

TEXTS = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
NEEDED = {
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "BurnedInAnnotation",
    "PhotometricInterpretation", "SpecificCharacterSet",
}
MARK = "ZQM"
UID = "1.2.999.77."
made = 0


def mark(vr):
    global made
    made += 1
    return f"{UID}{made}" if vr == "UI" else f"{MARK}{made}"


def marked(dataset, depth):
    """Puts marks into a data set, and into one of each sequence within it."""
    for number, (vr, _, _, _, keyword) in DicomDictionary.items():
        tag = pydicom.tag.Tag(number)
        if tag.group < 8 or 0x5000 <= tag.group < 0x7000 or keyword in NEEDED:
            continue
        vr = vr.split(" or ")[0]
        if vr in TEXTS:
            dataset.add_new(tag, vr, mark(vr))
        elif vr in ("OB", "UN") and tag != 0x7FE00010:
            dataset.add_new(tag, "OB", mark("OB").encode().ljust(12))
        elif vr == "SQ" and depth > 0:
            item = Dataset()
            for keyword in ("PatientName", "PatientID", "TextValue", "StudyDate", "ReferencedSOPInstanceUID"):
                item.add_new(keyword, pydicom.datadict.dictionary_VR(keyword), mark(pydicom.datadict.dictionary_VR(keyword)))
            dataset.add_new(tag, "SQ", Sequence([item]))
    for creator, vr in (("LO", "LO"), ("LO", "UN"), ("LO", "OB")):
        block = dataset.private_block(0x0019, f"{MARK} private", create=True)
        value = mark(vr)
        block.add_new(0x10 + len(value) % 16, vr, value if vr == "LO" else value.encode())
    inner = Dataset()
    inner.PatientName = mark("PN")
    block.add_new(0x30, "SQ", Sequence([inner]))
    if depth:
        inner = Dataset()
        marked(inner, depth - 1)
        dataset.ReferencedImageSequence = Sequence([inner])


def make(source, target):
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    film = pydicom.dcmread(source)
    kept = {element.tag: element for element in film if element.tag.group >= 0x0028}
    marked(film, 3)
    for tag, element in kept.items():
        film[tag] = element
    film.add_new(0x60004000, "LT", mark("LT"))
    film.add_new(0x60000022, "LO", mark("LO"))
    film.add_new(0x50002500, "LO", mark("LO"))
    film.file_meta.SourceApplicationEntityTitle = "ZQM_SOURCE"
    film.file_meta.PrivateInformationCreatorUID = UID + "0"
    film.file_meta.PrivateInformation = b"ZQM_PRIVATE!"
    film.file_meta.ImplementationVersionName = "ZQM_VERSION"
    film.save_as(target)
    with open(target, "ab") as file:
        file.write(b"\xfc\xff\xfc\xffOB\0\0\x0c\0\0\0ZQM_TRAILING")


def texts(dataset):
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts(item)
        else:
            yield element


def check(source, target):
    before, after = pydicom.dcmread(source), pydicom.dcmread(target)
    with open(target, "rb") as file:
        content = file.read()
    for gone in (MARK, UID):
        assert gone.encode() not in content, f"{target} has {gone}"
    assert after.PixelData == before.PixelData, f"{target} has other pixels"
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.PatientIdentityRemoved == "YES"
    assert after.LongitudinalTemporalInformationModified == "REMOVED"
    code = after.DeidentificationMethodCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    uids = {element.value for element in texts(before) if element.VR == "UI" and element.value}
    for element in texts(after):
        assert not element.tag.is_private, element
        if element.VR == "UI" and "Class" not in element.keyword:
            assert element.value not in uids, element
        if element.VR in ("DA", "TM", "DT"):
            assert not element.value or str(element.value).startswith(("1900", "0000")), element
    try:
        from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
    except ImportError:
        table = None
    if table:
        left = {element.tag for element in texts(after)}
        removed = {pydicom.tag.Tag(*tag) for tag in table.X_TAGS if len(tag) == 2}
        assert not left & removed, left & removed
    print("checked", target, "with" if table else "without", "dicom-anonymizer's table")


if __name__ == "__main__":
    command, source, *targets = sys.argv[1:]
    for target in targets:
        {"make": make, "check": check}[command](source, target)
