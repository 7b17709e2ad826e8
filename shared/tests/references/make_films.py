"""Makes the small films of ../films and what must be read from them.

    pip install numpy pydicom pylibjpeg[all] pillow imagecodecs
    python make_films.py

Every film is written by one implementation (pydicom, imagecodecs' libjpeg-turbo, CharLS and
OpenJPEG, Pillow) and read back by the same or another one; the grey that must come out is
computed here from the values read back, by the formulas of PS3.3 C.11.1 and C.11.2, and the
windows are checked against pydicom's apply_voi_lut. Greys are kept as 16-bit PNGs under
../films/grey, one for all the films that hold the same picture; ../films/films.json names each
film's and how far from it a reader may be (lossy streams only: decoders may round differently).
"""

import io
import json
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.sequence import Sequence
from pydicom import uid

FILMS = Path(__file__).parent.parent / "films"
HEIGHT, WIDTH = 36, 44

films = {}
greys = {}


def picture(bits, seed=7):
    """Soft shapes, an edge, noise, and both ends of the range."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    soft = 0.5 + 0.25 * np.sin(5 * x + 3 * y) + 0.2 * np.exp(-20 * ((x - 0.7) ** 2 + (y - 0.4) ** 2))
    soft[8:16, 20:25] += 0.3
    soft += random.normal(0, 0.004, soft.shape)
    values = np.clip(np.rint(soft * (2**bits - 1)), 0, 2**bits - 1).astype(np.int64)
    values[0, 0], values[-1, -1] = 0, 2**bits - 1
    values[30:33, 6:15] = 0
    return values


def dicom(name, stored, bits, syntax, stream=None, *, allocated=None, window="identity", grey=None,
          tolerance=0, preamble=True, fragments=1, **attributes):
    """Writes a film of `stored` values; `stream` is its compressed stream."""
    signed = stored.min() < 0
    allocated = allocated or (8 if bits <= 8 else 16)
    ds = Dataset()
    ds.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    ds.PatientName = "Phantom^Film"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.RescaleSlope, ds.RescaleIntercept = "1", "0"
    if window == "identity":
        # y = 65535 (x - least) / (greatest - least), which shows every stored value.
        least = -(2 ** (bits - 1)) if signed else 0
        ds.WindowCenter = str(least + (2**bits - 1) / 2)
        ds.WindowWidth = str(2**bits - 1)
        ds.VOILUTFunction = "LINEAR_EXACT"
        grey = exact(stored, least, 2**bits - 1)
    for key, value in attributes.items():
        setattr(ds, key, value)
    big = syntax == uid.ExplicitVRBigEndian
    kind = {8: "i1", 16: ">i2" if big else "<i2"}[allocated]
    raw = (stored & (2**allocated - 1)).astype(kind.replace("i", "u")).tobytes()
    if stream is None:
        ds.PixelData = raw
    else:
        ds.PixelData = encapsulate([stream], fragments_per_frame=fragments)
        ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB" if stream is not None or allocated == 8 else "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    out = io.BytesIO()
    ds.save_as(out, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=not big,
               enforce_file_format=True)
    data = out.getvalue()
    if not preamble:
        length = int.from_bytes(data[140:144], "little")
        data = data[144 + length :]
    write(name + ".dcm", data, grey, tolerance)
    return ds


def exact(values, least, width):
    return np.clip(np.floor((values - least) * 65535 / width + 0.5), 0, 65535).astype(np.uint16)


def percentiles(values, counted=None):
    """Ranks n * 5 // 1000 from both ends become 0 and 65535."""
    ordered = np.sort(np.ravel(values if counted is None else values[counted]))
    tail = len(ordered) * 5 // 1000
    low, high = int(ordered[tail]), int(ordered[-1 - tail])
    return exact(values, low, high - low)


def write(name, data, grey, tolerance=0):
    (FILMS / name).write_bytes(data)
    if grey is None:
        return
    key = next((k for k, known in greys.items() if np.array_equal(known, grey)), None)
    if key is None:
        key = name.removesuffix(".dcm").replace(".", "_")
        greys[key] = grey
        Image.fromarray(grey).save(FILMS / "grey" / f"{key}.png", optimize=True)
    films[name] = {"grey": f"grey/{key}.png", "tolerance": tolerance}


def lossy(decoded, bits, steps):
    """The grey of a decoded stream and a tolerance of so many stored steps."""
    grey = exact(decoded.astype(np.int64), 0, 2**bits - 1)
    return grey, int(np.ceil(steps * 65535 / (2**bits - 1)))


def lut(entries, first, bits):
    item = Dataset()
    item.add_new(0x00283002, "US" if first >= 0 else "SS", [len(entries), first, bits])
    item.add_new(0x00283006, "OW", np.asarray(entries, "<u2").tobytes())
    return Sequence([item])


def near(ours, theirs):
    assert np.abs(ours.astype(float) - theirs).max() <= 1, np.abs(ours - theirs).max()


def main():
    (FILMS / "grey").mkdir(parents=True, exist_ok=True)
    p8, p10, p12, p14, p16 = (picture(bits) for bits in (8, 10, 12, 14, 16))
    s12, s16 = p12 - 2048, p16 - 32768

    # Uncompressed.
    dicom("implicit_12", p12, 12, uid.ImplicitVRLittleEndian)
    dicom("explicit_8", p8, 8, uid.ExplicitVRLittleEndian)
    dicom("explicit_10", p10, 10, uid.ExplicitVRLittleEndian)
    dicom("explicit_16", p16, 16, uid.ExplicitVRLittleEndian)
    dicom("explicit_signed_12", s12, 12, uid.ExplicitVRLittleEndian)
    dicom("implicit_signed_16", s16, 16, uid.ImplicitVRLittleEndian)
    dicom("big_endian_14", p14, 14, uid.ExplicitVRBigEndian)
    dicom("deflated_12", p12, 12, uid.DeflatedExplicitVRLittleEndian)
    dicom("no_preamble_implicit_12", p12, 12, uid.ImplicitVRLittleEndian, preamble=False)
    dicom("no_preamble_explicit_8", p8, 8, uid.ExplicitVRLittleEndian, preamble=False)
    dicom("high_bit_15", p12 << 4, 12, uid.ExplicitVRLittleEndian, HighBit=15, window=None,
          WindowCenter="2047.5", WindowWidth="4095", VOILUTFunction="LINEAR_EXACT",
          grey=exact(p12, 0, 4095))

    # RLE, written by pydicom's own encoder.
    for name, values, bits in (("rle_8", p8, 8), ("rle_16", p16, 16)):
        kind = "<u1" if bits == 8 else "<u2"
        stream = b"".join(RLELosslessEncoder.iter_encode(
            values.astype(kind), encoding_plugin="pydicom", rows=HEIGHT, columns=WIDTH,
            samples_per_pixel=1, bits_allocated=bits, bits_stored=bits, number_of_frames=1,
            pixel_representation=0, photometric_interpretation="MONOCHROME2"))
        dicom(name, values, bits, uid.RLELossless, stream)

    # JPEG with DCT: 8 bits, and the 12 bits of process 4.
    for name, values, bits, syntax in (("jpeg_baseline_8", p8, 8, uid.JPEGBaseline8Bit),
                                       ("jpeg_extended_12", p12, 12, uid.JPEGExtended12Bit)):
        kind = np.uint8 if bits == 8 else np.uint16
        stream = imagecodecs.jpeg8_encode(values.astype(kind), level=90, bitspersample=bits)
        grey, tolerance = lossy(imagecodecs.jpeg8_decode(stream), bits, 1)
        dicom(name, values, bits, syntax, stream, window=None, WindowCenter=str((2**bits - 1) / 2),
              WindowWidth=str(2**bits - 1), VOILUTFunction="LINEAR_EXACT", grey=grey,
              tolerance=tolerance)

    out = io.BytesIO()
    Image.fromarray(p8.astype(np.uint8)).save(out, "JPEG", quality=80, restart_marker_blocks=4)
    grey, tolerance = lossy(np.asarray(Image.open(out)), 8, 1)
    dicom("jpeg_baseline_8_restarts", p8, 8, uid.JPEGBaseline8Bit, out.getvalue(), window=None,
          WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT", grey=grey,
          tolerance=tolerance)

    # JPEG lossless, with the first and other predictors.
    for name, values, bits, predictor in (("jpeg_lossless_8", p8, 8, 1),
                                          ("jpeg_lossless_12", p12, 12, 1),
                                          ("jpeg_lossless_16", p16, 16, 1),
                                          ("jpeg_lossless_16_predictor_4", p16, 16, 4),
                                          ("jpeg_lossless_12_predictor_7", p12, 12, 7)):
        kind = np.uint8 if bits == 8 else np.uint16
        stream = imagecodecs.jpeg8_encode(values.astype(kind), lossless=True, predictor=predictor,
                                          bitspersample=bits)
        assert np.array_equal(imagecodecs.jpeg8_decode(stream), values)
        syntax = uid.JPEGLosslessSV1 if predictor == 1 else uid.JPEGLossless
        dicom(name, values, bits, syntax, stream)
    stream = imagecodecs.jpeg8_encode((s12 & 4095).astype(np.uint16), lossless=True, predictor=1,
                                      bitspersample=12)
    dicom("jpeg_lossless_signed_12", s12, 12, uid.JPEGLosslessSV1, stream)

    # JPEG-LS.
    for name, values, bits, near_lossless in (("jpeg_ls_8", p8, 8, 0), ("jpeg_ls_12", p12, 12, 0),
                                              ("jpeg_ls_16", p16, 16, 0),
                                              ("jpeg_ls_near_8", p8, 8, 3),
                                              ("jpeg_ls_near_16", p16, 16, 40)):
        kind = np.uint8 if bits == 8 else np.uint16
        stream = imagecodecs.jpegls_encode(values.astype(kind), level=near_lossless)
        decoded = imagecodecs.jpegls_decode(stream).astype(np.int64)
        assert np.abs(decoded - values).max() <= near_lossless
        syntax = uid.JPEGLSNearLossless if near_lossless else uid.JPEGLSLossless
        dicom(name, decoded, bits, syntax, stream)

    # JPEG 2000.
    for name, values, bits in (("jpeg_2000_8", p8, 8), ("jpeg_2000_12", p12, 12),
                               ("jpeg_2000_16", p16, 16), ("jpeg_2000_signed_16", s16, 16)):
        kind = np.uint8 if bits == 8 else np.int16 if values.min() < 0 else np.uint16
        stream = imagecodecs.jpeg2k_encode(values.astype(kind), codecformat="j2k", reversible=True,
                                           bitspersample=bits)
        assert np.array_equal(imagecodecs.jpeg2k_decode(stream), values)
        dicom(name, values, bits, uid.JPEG2000Lossless, stream, fragments=3 if bits == 12 else 1)
    stream = imagecodecs.jpeg2k_encode(p12.astype(np.uint16), level=45, codecformat="j2k",
                                       reversible=False, bitspersample=12)
    decoded = imagecodecs.jpeg2k_decode(stream)
    assert not np.array_equal(decoded, p12)
    grey, tolerance = lossy(decoded, 12, 1)
    dicom("jpeg_2000_lossy_12", p12, 12, uid.JPEG2000, stream, window=None, WindowCenter="2047.5",
          WindowWidth="4095", VOILUTFunction="LINEAR_EXACT", grey=grey, tolerance=tolerance)

    # The way to grey.
    explicit = uid.ExplicitVRLittleEndian
    scale = 65535 / 4095
    for name, function, centre, width in (("window_linear", None, 1800.5, 2000.25),
                                          ("window_linear_exact", "LINEAR_EXACT", 1800.5, 2000.25),
                                          ("window_sigmoid", "SIGMOID", 1800.5, 900.0)):
        extra = {"VOILUTFunction": function} if function else {}
        values = p12 * 0.5 - 100
        if function is None:
            y = (values - (centre / 2 - 100 - 0.5)) / (width / 2 - 1) + 0.5
        elif function == "LINEAR_EXACT":
            y = (values - (centre / 2 - 100)) / (width / 2) + 0.5
        else:
            y = 1 / (1 + np.exp(-4 * (values - (centre / 2 - 100)) / (width / 2)))
        grey = np.floor(np.clip(y, 0, 1) * 65535 + 0.5).astype(np.uint16)
        ds = dicom(name, p12, 12, explicit, window=None, grey=grey, RescaleSlope="0.5",
                   RescaleIntercept="-100", WindowCenter=[str(centre / 2 - 100), "1"],
                   WindowWidth=[str(width / 2), "2"], tolerance=1, **extra)
        # pydicom spreads its windows over the rescaled range of the stored bits.
        least, most = -100, 4095 * 0.5 - 100
        theirs = apply_voi_lut(apply_modality_lut(p12.astype(np.uint16), ds), ds)
        near(grey / scale, (theirs - least) / (most - least) * 4095)

    entries = np.rint(4095 * (np.arange(1000) / 999) ** 0.5).astype(int)
    ds = dicom("voi_lut", p12, 12, explicit, window=None, VOILUTSequence=lut(entries, 1500, 12),
               grey=exact(entries[np.clip(p12 - 1500, 0, 999)], 0, 4095))
    near(exact(apply_voi_lut(p12.astype(np.uint16), ds).astype(np.int64), 0, 4095) / scale,
         entries[np.clip(p12 - 1500, 0, 999)])
    ds = dicom("voi_lut_signed", s12, 12, explicit, window=None,
               VOILUTSequence=lut(entries, -700, 12),
               grey=exact(entries[np.clip(s12 + 700, 0, 999)], 0, 4095))
    assert np.array_equal(apply_voi_lut(s12.astype(np.int16), ds),
                          entries[np.clip(s12 + 700, 0, 999)])
    curve = np.rint(65535 * (1 - np.arange(1024) / 1023) ** 2).astype(int)
    ds = dicom("modality_lut", p10, 10, explicit, window=None,
               ModalityLUTSequence=lut(curve, 0, 16), WindowCenter="30000", WindowWidth="40000",
               VOILUTFunction="LINEAR_EXACT", grey=exact(curve[p10], 10000, 40000))
    assert np.array_equal(apply_modality_lut(p10.astype(np.uint16), ds), curve[p10])

    dicom("percentiles", p12, 12, explicit, window=None, grey=percentiles(p12))
    dicom("percentiles_monochrome1", p12, 12, explicit, window=None,
          PhotometricInterpretation="MONOCHROME1", grey=65535 - percentiles(p12))
    padded = p12.copy()
    padded[:, :11] = 0
    dicom("padding", padded, 12, explicit, window=None, PixelPaddingValue=0,
          PhotometricInterpretation="MONOCHROME1",
          grey=np.where(padded == 0, 0, 65535 - percentiles(padded, padded != 0)).astype(np.uint16))

    # Refused films.
    tiny = picture(8)[:4, :4] + 1
    for name, attributes in (
        ("refused_frames", {"NumberOfFrames": "3"}),
        ("refused_not_square", {"PixelSpacing": ["0.2", "0.143"]}),
        ("refused_huge", {"Rows": 20000, "Columns": 20000}),
        ("refused_cut_off", {"Rows": 5}),
    ):
        dicom(name, tiny, 8, explicit, window=None, **attributes)
    hues = np.random.RandomState(3).randint(0, 256, 3 * tiny.size).reshape(4, 12)
    dicom("refused_colour", hues, 8, explicit, window=None, PhotometricInterpretation="RGB",
          SamplesPerPixel=3, PlanarConfiguration=0, Rows=4, Columns=4)
    dicom("refused_syntax", tiny, 8, uid.MPEG2MPML, b"\0" * 16, window=None)
    dicom("refused_no_pixels", tiny, 8, explicit, window=None)
    data = (FILMS / "refused_no_pixels.dcm").read_bytes()
    (FILMS / "refused_no_pixels.dcm").write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")])

    # Pictures.
    def saved(values, kind, **options):
        out = io.BytesIO()
        Image.fromarray(values).save(out, kind, **options)
        return out.getvalue()

    g8, g16 = p8.astype(np.uint8), p16.astype(np.uint16)
    rgb = np.stack([g8] * 3, axis=-1)
    write("grey_8.png", saved(g8, "PNG", optimize=True), percentiles(p8))
    write("grey_16.png", saved(g16, "PNG", optimize=True), percentiles(p16))
    write("rgb_8.png", saved(rgb, "PNG", optimize=True), percentiles(p8))
    write("grey_16.tiff", saved(g16, "TIFF", compression="tiff_lzw"), percentiles(p16))
    write("grey_8.tiff", saved(g8, "TIFF", compression="tiff_deflate"), percentiles(p8))
    for name, values in (("grey_8.jpg", g8), ("rgb_8.jpg", rgb)):
        data = saved(values, "JPEG", quality=92)
        decoded = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(np.int64)
        # A step of the ends moves the stretch, a step of a pixel that pixel.
        write(name, data, percentiles(decoded), 3 * 257)
    write("refused_colour.png", saved(hues.reshape(4, 4, 3).astype(np.uint8), "PNG"), None)

    (FILMS / "films.json").write_text(json.dumps(films, indent=1, sort_keys=True) + "\n")


main()
