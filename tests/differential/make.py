"""Makes a grid of small films and records what pydicom, GDCM and dcmtk show of each.

    pip install numpy pydicom "pylibjpeg[all]" imagecodecs python-gdcm pillow
    apt-get install dcmtk
    python make.py

The grid is transfer syntax x bits x sign x photometric interpretation x values of interest x
rescaling; every fifth point of it is taken. All films lie one after the other in `films.bin`;
`answers.json` has each one's place there, its point, and the 16-bit greys at PLACES by each peer:

pydicom   its stored values, apply_modality_lut and apply_voi_lut
gdcm      its stored values, then the formulas of PS3.3 C.11 in this script
dcmtk     the picture of `dcm2pnm` or `dcmj2pnm` with the film's own window

A peer that does not read a film has no answer. Without values of interest only the stored values
are the peers'; the stretch is this project's. `within` says how far a peer may be off, and why:

- dcmtk rounds values to whole numbers after rescaling, shows LINEAR_EXACT as LINEAR, and makes 16
  bits of 12 by shifting them up: a step of the window, or 16 and a step of the table;
- pydicom cuts fractions off before it looks values up: a step of the table;
- pydicom takes a table's first value as unsigned in implicit VR, where PS3.3 C.11.2.1.1 makes it
  signed: it has no answer there.
"""

import io
import itertools
import json
import random
import subprocess
import tempfile
import warnings
from pathlib import Path

import gdcm
import imagecodecs
import numpy as np
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.sequence import Sequence

HERE = Path(__file__).parent
HEIGHT, WIDTH = 16, 24
PLACES = [(row, column) for row in (0, 5, 9, 15) for column in (0, 7, 13, 23)]

SYNTAXES = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "RLE": uid.RLELossless,
    "JPEG lossless": uid.JPEGLosslessSV1,
    "JPEG-LS": uid.JPEGLSLossless,
    "JPEG 2000": uid.JPEG2000Lossless,
}
BITS = (8, 10, 12, 16)
SIGNED = (False, True)
PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")
VOI = ("none", "LINEAR", "LINEAR_EXACT", "SIGMOID", "LUT")
RESCALE = (None, ("1", "-1024"), ("0.5", "10"), ("-2", "4000"))


def values_of(bits, signed, seed):
    """Soft shapes with noise over the whole range."""
    random_state = np.random.RandomState(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    soft = 0.5 + 0.4 * np.sin(x / 4) * np.cos(y / 5) + random_state.normal(0, 0.02, x.shape)
    values = np.clip(np.rint(soft * (2**bits - 1)), 0, 2**bits - 1).astype(np.int64)
    return values - (2 ** (bits - 1) if signed else 0)


def dataset(syntax, bits, signed, photometric, voi, rescale, seed):
    stored = values_of(bits, signed, seed)
    ds = Dataset()
    ds.SOPClassUID = uid.ComputedRadiographyImageStorage
    ds.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{seed}"
    ds.Modality = "CR"
    ds.PatientName, ds.PatientID = "Phantom^Film", "P1"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = HEIGHT, WIDTH
    big = syntax == uid.ExplicitVRBigEndian
    allocated = 8 if bits == 8 else 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    slope, intercept = (float(rescale[0]), float(rescale[1])) if rescale else (1.0, 0.0)
    if rescale:
        ds.RescaleSlope, ds.RescaleIntercept = rescale
    ends = sorted(slope * end + intercept for end in (stored.min(), stored.max()))
    if voi == "LUT":
        # From a little above the least value on, so that the table is left at both ends.
        first = int(ends[0] + (ends[1] - ends[0]) / 8)
        count = max(2, int((ends[1] - ends[0]) / 2))
        entries = np.rint(4095 * np.linspace(0, 1, count) ** 0.6).astype("<u2")
        item = Dataset()
        negative = ends[0] < 0
        item.add_new(0x00283002, "SS" if first < 0 else "US", [count % 65536, first, 12])
        item.add_new(0x00283006, "OW", entries.astype(">u2" if big else "<u2").tobytes())
        if not -32768 <= first <= (32767 if first < 0 or negative else 65535):
            return None
        ds.VOILUTSequence = Sequence([item])
    elif voi != "none":
        ds.WindowCenter = f"{(ends[0] + ends[1]) / 2 + 1:.1f}"
        ds.WindowWidth = f"{(ends[1] - ends[0]) * 0.75:.1f}"
        ds.VOILUTFunction = voi
    raw = stored.astype(f"{'i' if signed else 'u'}{allocated // 8}")
    masked = (stored & (2**bits - 1)).astype(f"u{allocated // 8}")
    streams = {
        uid.JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(masked, bitspersample=bits),
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(raw.view(masked.dtype)),
        uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
            raw, codecformat="j2k", reversible=True, bitspersample=bits, level=0),
    }
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax in streams:
        ds.PixelData = encapsulate([streams[syntax]()])
    else:
        ds.PixelData = raw.astype(raw.dtype.newbyteorder(">" if big else "<")).tobytes()
    ds["PixelData"].VR = "OB" if allocated == 8 or syntax in streams else "OW"
    if syntax == uid.RLELossless:
        ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        ds.compress(uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    if syntax in streams:
        ds["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    ds.save_as(out, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=not big,
               enforce_file_format=True)
    return out.getvalue()


# --- The formulas ------------------------------------------------------------------------------------


def table(ds):
    """A VOI LUT's first value and its entries."""
    item = ds.VOILUTSequence[0]
    first = item.LUTDescriptor[1]
    slope, intercept = float(getattr(ds, "RescaleSlope", 1)), float(getattr(ds, "RescaleIntercept", 0))
    least = -(2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else 0
    negative = min(slope * end + intercept for end in (least, least + 2**ds.BitsStored - 1)) < 0
    if negative and first >= 32768:
        first -= 65536
    big = ds.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian
    return first, np.frombuffer(item.LUTData, ">u2" if big else "<u2").astype(int)


def within(peer, ds, voi):
    """How far a peer may be off."""
    if voi == "LUT":
        _, entries = table(ds)
        step = int(np.ceil(np.abs(np.diff(entries)).max() * 65535 / 4095))
        fractions = getattr(ds, "RescaleSlope", None) == 0.5
        return {"dcmtk": 16 + fractions * step, "pydicom": max(1, fractions * step)}.get(peer, 1)
    if peer == "dcmtk":
        # A sigmoid is at most as steep as a line of the same width.
        return int(np.ceil(65535 / (float(ds.WindowWidth) - 1))) + 1
    return 1


def shown(values, ds, voi):
    """The grey of values after rescaling, by PS3.3 C.11.2, from 0 to 65535."""
    values = values.astype(float)
    if voi == "none":
        ordered = np.sort(values.ravel())
        tail = len(ordered) * 5 // 1000
        low, high = ordered[tail], ordered[-1 - tail]
        grey = (values - low) / (high - low)
    elif voi == "LUT":
        first, entries = table(ds)
        at = np.clip(np.floor(values + 0.5) - first, 0, len(entries) - 1).astype(int)
        grey = entries[at] / 4095
    else:
        centre, width = float(ds.WindowCenter), float(ds.WindowWidth)
        if voi == "SIGMOID":
            grey = 1 / (1 + np.exp(-4 * (values - centre) / width))
        elif voi == "LINEAR":
            grey = (values - (centre - 0.5)) / (width - 1) + 0.5
        else:
            grey = (values - centre) / width + 0.5
    return 65535 * np.clip(grey, 0, 1)


def inverted(grey, ds):
    return 65535 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def by_pydicom(path, voi):
    ds = dcmread(path)
    values = apply_modality_lut(ds.pixel_array, ds)
    if voi == "none":
        return inverted(shown(values, ds, voi), ds)
    if voi == "LUT" and table(ds)[0] != ds.VOILUTSequence[0].LUTDescriptor[1]:
        return None
    looked_up = apply_voi_lut(values, ds).astype(float)
    if voi == "LUT":
        return inverted(looked_up * 65535 / 4095, ds)
    # pydicom's windows end at the ends of the values' range after rescaling.
    slope, intercept = float(getattr(ds, "RescaleSlope", 1)), float(getattr(ds, "RescaleIntercept", 0))
    signed = ds.PixelRepresentation == 1
    least = -(2 ** (ds.BitsStored - 1)) if signed else 0
    ends = [slope * end + intercept for end in (least, least + 2**ds.BitsStored - 1)]
    low, high = (min(ends), max(ends)) if slope > 0 else (ends[0], ends[1])
    return inverted(65535 * (looked_up - low) / (high - low), ds)


def by_gdcm(path, voi):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        return None
    image = reader.GetImage()
    kind = image.GetPixelFormat()
    signed = kind.GetPixelRepresentation() == 1
    size = kind.GetBitsAllocated() // 8
    raw = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    values = np.frombuffer(raw, f"<{'i' if signed else 'u'}{size}").reshape(HEIGHT, WIDTH).astype(np.int64)
    bits = kind.GetBitsStored()
    values &= 2**bits - 1
    if signed:
        values -= (values >> (bits - 1)) << bits
    ds = dcmread(path, stop_before_pixels=True)
    values = values * image.GetSlope() + image.GetIntercept()
    return inverted(shown(values, ds, voi), ds)


def by_dcmtk(path, voi):
    if voi == "none":
        return None
    ds = dcmread(path, stop_before_pixels=True)
    if ds.file_meta.TransferSyntaxUID in (uid.JPEGLSLossless,):
        with tempfile.NamedTemporaryFile(suffix=".dcm") as plain:
            subprocess.run(["dcmdjpls", str(path), plain.name], check=True, capture_output=True)
            return dcmtk_picture("dcm2pnm", plain.name, voi)
    return dcmtk_picture("dcmj2pnm", path, voi)


def dcmtk_picture(program, path, voi):
    window = ["+Wl", "1"] if voi == "LUT" else ["+Wi", "1"]
    function = {"SIGMOID": ["+Wfs"], "LINEAR": ["+Wfl"]}.get(voi, [])
    command = [program, "--write-16-bit-pnm", *window, *function, str(path)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode or not done.stdout:
        return None
    picture = np.asarray(Image.open(io.BytesIO(done.stdout)))
    return picture.astype(float)


def main():
    warnings.simplefilter("ignore")
    grid = list(itertools.product(SYNTAXES, BITS, SIGNED, PHOTOMETRIC, VOI, RESCALE))
    random.Random(4).shuffle(grid)
    films, answers = b"", []
    with tempfile.TemporaryDirectory() as folder:
        for seed, point in enumerate(grid[::5]):
            syntax, bits, signed, photometric, voi, rescale = point
            data = dataset(SYNTAXES[syntax], bits, signed, photometric, voi, rescale, seed)
            if data is None:
                continue
            path = Path(folder) / "film.dcm"
            path.write_bytes(data)
            peers = {}
            for name, read in (("pydicom", by_pydicom), ("gdcm", by_gdcm), ("dcmtk", by_dcmtk)):
                try:
                    grey = read(path, voi)
                except Exception as error:
                    print(point, name, type(error).__name__, str(error)[:80])
                    continue
                if grey is not None:
                    greys = [int(np.floor(np.clip(grey[at], 0, 65535) + 0.5)) for at in PLACES]
                    header = dcmread(path, stop_before_pixels=True)
                    peers[name] = {"greys": greys, "within": within(name, header, voi)}
            what = ", ".join([syntax, f"{bits} bits", "signed" if signed else "unsigned", photometric, voi,
                              "no rescaling" if rescale is None else f"rescaled by {rescale[0]} and {rescale[1]}"])
            answers.append({"what": what, "start": len(films), "length": len(data), "peers": peers})
            films += data
    (HERE / "films.bin").write_bytes(films)
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    (HERE / "answers.json").write_text(f"[\n{lines}\n]\n")
    print(len(answers), "films", len(films), "bytes")


main()
