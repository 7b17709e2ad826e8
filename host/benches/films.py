"""The counterpart of films.rs in pydicom, OpenCV and NumPy, on one thread; films.rs runs it.

    python films.py FOLDER REPEATS

Writes the films that both sides read into FOLDER, where they are not there yet, and prints a line
for each: its name, the median processor time of reading and preparing it in seconds, and the sum
of the greys. Besides pydicom and opencv-python-headless it needs pylibjpeg with its three plugins,
and imagecodecs to write lossless JPEG.
"""

import os
import pathlib
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import imagecodecs
import numpy as np
import pydicom
from pydicom import uid

WIDTH, HEIGHT, SIDE = 2048, 2500, 256


def film(bits):
    """Something with the smoothness and the noise of a chest film."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    x = x - WIDTH / HEIGHT / 2
    body = 1 / (1 + np.exp((np.hypot(x / 0.38, (y - 0.55) / 0.75) - 1) * 18))
    lungs = sum(np.exp(-(((x - c) / 0.12) ** 2 + ((y - 0.45) / 0.28) ** 2) ** 2)
                for c in (-0.19, 0.19))
    ribs = 0.05 * np.sin(y * 60 + np.abs(x) * 25) * lungs
    spine = 0.25 * np.exp(-(x / 0.035) ** 2)
    texture = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 6)
    value = 0.1 + body * (0.55 - 0.35 * lungs + ribs + spine) + 0.15 * body * texture
    value = value * (2**bits - 1) * 0.9
    value = value + rng.standard_normal(value.shape) * np.sqrt(value.clip(1)) * 2 ** (bits / 2 - 7)
    return value.clip(0, 2**bits - 1).round().astype(np.uint16)


def write(path, pixels, bits, **attributes):
    """An uncompressed DICOM film."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = uid.ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = uid.generate_uid(entropy_srcs=[path.name])
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def make(folder):
    """The films, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "png-16.png").exists():
        return
    film12, film14 = film(12), film(14)
    window = {"WindowCenter": "1900", "WindowWidth": "3400",
              "RescaleSlope": "1", "RescaleIntercept": "0"}
    write(folder / "native-12-window.dcm", film12, 12, **window)
    write(folder / "native-14-percentiles.dcm", film14, 14)
    write(folder / "native-12-monochrome1.dcm", film12, 12, **window,
          PhotometricInterpretation="MONOCHROME1")
    for name, syntax in (("rle", uid.RLELossless), ("jpeg-2000", uid.JPEG2000Lossless)):
        path = folder / f"{name}-12-window.dcm"
        dataset = write(path, film12, 12, **window)
        dataset.compress(syntax)
        dataset.save_as(path, enforce_file_format=True)
    path = folder / "jpeg-lossless-12-window.dcm"
    dataset = write(path, film12, 12, **window)
    stream = imagecodecs.jpeg8_encode(film12, lossless=True, predictor=1, bitspersample=12)
    dataset.PixelData = pydicom.encaps.encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLosslessSV1
    dataset.save_as(path, enforce_file_format=True)
    cv2.imwrite(str(folder / "png-16.png"), film14 << 2)


def percentiles(pixels):
    """The values with 0.5 % of the pixels below and above: a histogram, not a sort."""
    cumulated = np.bincount(pixels.ravel(), minlength=65536).cumsum()
    tail = pixels.size * 5 // 1000
    return (np.searchsorted(cumulated, tail, "right"),
            np.searchsorted(cumulated, pixels.size - tail - 1, "right"))


def prepare(path):
    """A film's 256 x 256 greys: the way from stored values to grey as one table of 65536, which is
    faster than pydicom's own functions for whole pictures."""
    stored = np.arange(65536)
    inverted = False
    if path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
        values = stored * float(dataset.get("RescaleSlope", 1)) + float(
            dataset.get("RescaleIntercept", 0))
        inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
        window = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    else:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        values, window = stored, (None, None)
    if window[0] is None:
        low, high = percentiles(pixels)
        table = (values - low) / (high - low)
    else:
        centre, width = map(float, window)
        table = (values - (centre - 0.5)) / (width - 1) + 0.5
    table = table.clip(0, 1)
    table = ((1 - table if inverted else table) * 65535).round().astype(np.uint16)
    grey = table[pixels]
    scale = SIDE / max(grey.shape)
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    return cv2.copyMakeBorder(grey, top, SIDE - height - top, left, SIDE - width - left,
                              cv2.BORDER_CONSTANT, value=0)


def main():
    folder, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    cv2.setNumThreads(1)
    make(folder)
    for path in sorted(folder.iterdir()):
        times = []
        for _ in range(repeats + 1):
            start = time.process_time()
            grey = prepare(path)
            times.append(time.process_time() - start)
        print(path.name, statistics.median(times[1:]), int(grey.sum(dtype=np.uint64)))


main()
