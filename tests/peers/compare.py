"""Reads DICOM files with plumbline-edge and with pydicom, GDCM and dcmtk, and says which read alike.

    pip install numpy pydicom "pylibjpeg[all]" python-gdcm pillow
    apt-get install dcmtk
    python compare.py PLUMBLINE_EDGE FOLDER...

A file is alike if the greys are within TOLERANCE of 65535 in the mean (lossy streams are rounded
differently) of the peers' values through PS3.3 C.11, or of the stretch of percentiles if it has no
window. Of the peers' pictures only grey single frames are compared. Prints a line for each file and
a table; `docs/files.md` has its last results.
"""

import collections
import io
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import gdcm
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

TOLERANCE = 300


def ours(program, path):
    """The pixels of `plumbline-edge decode`'s answer, or its sentence."""
    answer = subprocess.run([program, "decode", "--", str(path)], capture_output=True).stdout
    if len(answer) < 4:
        return None, "no answer"
    (length,) = struct.unpack("<I", answer[:4])
    pixels = np.frombuffer(answer[4 + length :], "<u2")
    if len(pixels):
        return pixels, ""
    texts = re.findall(rb"[\x20-\x7e]{12,}", answer[4 : 4 + length])
    return None, texts[-1].decode() if texts else "refused"


def stretched(values):
    ordered = np.sort(np.ravel(values).astype(float))
    tail = len(ordered) * 5 // 1000
    low, high = ordered[tail], ordered[-1 - tail]
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 65535


def shown(values, ds):
    """The grey of stored values, by pydicom's functions."""
    values = apply_modality_lut(values, ds)
    if "VOILUTSequence" in ds and len(ds.VOILUTSequence):
        grey = apply_voi_lut(values, ds).astype(float)
        grey *= 65535 / (2 ** ds.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif "WindowWidth" in ds and ds.WindowWidth not in (None, ""):
        first = lambda value: float(value[0] if isinstance(value, collections.abc.Sequence) else value)
        centre, width = first(ds.WindowCenter), first(ds.WindowWidth)
        if getattr(ds, "VOILUTFunction", "LINEAR") == "LINEAR_EXACT":
            grey = ((values - centre) / width + 0.5) * 65535
        else:
            grey = ((values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5) * 65535
    else:
        grey = stretched(values)
    grey = np.clip(grey, 0, 65535)
    return 65535 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def by_pydicom(path):
    ds = dcmread(path, force=True)
    array = ds.pixel_array
    if ds.get("PhotometricInterpretation") == "PALETTE COLOR" and array.ndim == 2:
        array = apply_color_lut(array, ds)
        return stretched(array[..., :3] @ [0.299, 0.587, 0.114])
    if array.ndim == 3 and ds.get("SamplesPerPixel", 1) == 3:
        return stretched(array @ [0.299, 0.587, 0.114])
    return shown(array, ds) if array.ndim == 2 else None


def gdcm_values(path):
    """GDCM's stored values on standard output, in a process of its own: some files end it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise SystemExit("GDCM does not read it")
    image = reader.GetImage()
    kind = image.GetPixelFormat()
    grey = kind.GetSamplesPerPixel() == 1 and image.GetNumberOfDimensions() == 2
    if not grey or kind.GetBitsAllocated() not in (8, 16):
        return
    raw = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    signed = "i" if kind.GetPixelRepresentation() else "u"
    values = np.frombuffer(raw, f"<{signed}{kind.GetBitsAllocated() // 8}")
    np.save(sys.stdout.buffer, values.reshape(image.GetDimension(1), image.GetDimension(0)))


def by_gdcm(path):
    done = subprocess.run([sys.executable, __file__, "--gdcm", str(path)], capture_output=True)
    if done.returncode:
        raise ValueError("GDCM does not read it")
    if not done.stdout:
        return None
    values = np.load(io.BytesIO(done.stdout))
    ds = dcmread(path, force=True, stop_before_pixels=True)
    return None if ds.get("PhotometricInterpretation") == "PALETTE COLOR" else shown(values, ds)


def by_dcmtk(path):
    ds = dcmread(path, force=True, stop_before_pixels=True)
    if ds.get("NumberOfFrames", 1) not in (None, 1) or ds.get("SamplesPerPixel", 1) != 1:
        return None
    if "WindowWidth" not in ds or ds.get("VOILUTFunction", "LINEAR") == "LINEAR_EXACT":
        return None
    done = subprocess.run(["dcmj2pnm", "--write-16-bit-pnm", "+Wi", "1", str(path)], capture_output=True)
    if done.returncode or not done.stdout:
        raise ValueError("dcmtk does not read it")
    return np.asarray(Image.open(io.BytesIO(done.stdout))).astype(float)


def main():
    warnings.simplefilter("ignore")
    program, *folders = sys.argv[1:]
    if program == "--gdcm":
        gdcm_values(folders[0])
        return
    table = collections.Counter()
    for folder in folders:
        for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
            start = path.read_bytes()[:132]
            if start[128:132] != b"DICM" and not path.suffix == ".dcm":
                continue
            pixels, sentence = ours(program, path)
            verdicts = {}
            for name, read in (("pydicom", by_pydicom), ("GDCM", by_gdcm), ("dcmtk", by_dcmtk)):
                try:
                    grey = read(path)
                except Exception:
                    verdicts[name] = "refuses"
                    continue
                if grey is None:
                    continue
                if pixels is None:
                    verdicts[name] = "reads"
                elif grey.size != pixels.size:
                    verdicts[name] = "another size"
                else:
                    off = np.abs(grey.ravel() - pixels).mean()
                    flipped = min(np.abs(turned.ravel() - pixels).mean()
                                  for turned in (grey[::-1], grey[:, ::-1], grey[::-1, ::-1]))
                    verdicts[name] = "alike" if min(off, flipped) <= TOLERANCE else f"off by {off:.0f}"
            for name, verdict in verdicts.items():
                side = "read" if pixels is not None else "refused"
                table[name, side, verdict.split(" by")[0]] += 1
            print(f"{path.name}: {'read' if pixels is not None else sentence}; {verdicts}", flush=True)
    for (name, side, verdict), count in sorted(table.items()):
        print(f"{name:8} {side:8} {verdict:14} {count}")


main()
