"""Makes the small films of this folder, each with one fault or rarity, and what must become of them.

    pip install numpy pydicom pillow imagecodecs tifffile
    python make.py

The elements of DICOM files are written here byte by byte, as no library writes them wrong. The right
greys are computed from the values that were put in, by PS3.3 C.7.6.3, C.11.1 and C.11.2, and kept as
16-bit PNGs in `grey`; `expected.json` names each file's, with how far from it a reader may be, or the
code of its refusal and a part of the sentence.
"""

import io
import json
import shutil
import struct
import subprocess
import tempfile
import zipfile
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

HERE = Path(__file__).parent
HEIGHT, WIDTH = 72, 60
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
JPEG_2000, JPEG_BASELINE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.50"
RLE, HTJ2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201"
LONG = {"OB", "OW", "SQ", "UN", "UT", "OD", "OF", "OL", "UC", "UR"}

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

expected = {}
greys = {}


# --- Values and greys ---------------------------------------------------------------------------


def picture(bits, seed=5):
    """A soft column beside soft fields, noise, and both ends of the range."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT
    spine = np.exp(-160 * (x - 0.42 - 0.06 * np.sin(5 * y)) ** 2)
    soft = 0.3 + 0.45 * spine + 0.15 * np.cos(4 * x + 2 * y) + random.normal(0, 0.01, y.shape)
    values = np.clip(np.rint(soft * (2**bits - 1)), 0, 2**bits - 1).astype(np.int64)
    values[0, 0], values[-1, -1] = 0, 2**bits - 1
    return values


def exact(values, least, width):
    return np.clip(np.floor((values - least) * 65535 / width + 0.5), 0, 65535).astype(np.uint16)


def percentiles(values, counted=None):
    ordered = np.sort(np.ravel(values if counted is None else values[counted]))
    tail = len(ordered) * 5 // 1000
    low, high = float(ordered[tail]), float(ordered[-1 - tail])
    return exact(values.astype(float), low, high - low)


def write(name, data, grey=None, tolerance=0, notes=(), refused=None):
    (HERE / name).write_bytes(data)
    if refused:
        code, part = refused
        expected[name] = {"refused": code, "sentence": part}
        return
    key = next((k for k, known in greys.items() if np.array_equal(known, grey)), None)
    if key is None:
        key = name.replace(".", "_")
        greys[key] = grey
        Image.fromarray(grey).save(HERE / "grey" / f"{key}.png", optimize=True)
    expected[name] = {"grey": f"grey/{key}.png", "tolerance": tolerance, "notes": list(notes)}


# --- DICOM elements, byte by byte ------------------------------------------------------------------


class Writer:
    """Writes elements in one encoding."""

    def __init__(self, explicit=True, big=False):
        self.explicit, self.order = explicit, ">" if big else "<"

    def tag(self, tag):
        return struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)

    def head(self, tag, vr, length):
        if not self.explicit:
            return self.tag(tag) + struct.pack(self.order + "I", length)
        if vr in LONG:
            return self.tag(tag) + vr.encode() + b"\0\0" + struct.pack(self.order + "I", length)
        return self.tag(tag) + vr.encode() + struct.pack(self.order + "H", length)

    def element(self, tag, vr, value):
        if vr in ("US", "SS") and not isinstance(value, bytes):
            numbers = value if isinstance(value, (list, tuple)) else [value]
            value = b"".join(struct.pack(self.order + "H", number & 0xFFFF) for number in numbers)
        elif isinstance(value, str):
            value = value.encode()
        if len(value) % 2:
            value += b"\0" if vr == "UI" else b" "
        return self.head(tag, vr, len(value)) + value

    def mark(self, tag, length=0):
        return self.tag(tag) + struct.pack(self.order + "I", length)

    def item(self, *elements, undefined=True):
        content = b"".join(elements)
        if undefined:
            return self.mark(ITEM, UNDEFINED) + content + self.mark(ITEM_END)
        return self.mark(ITEM, len(content)) + content

    def sequence(self, tag, *items, undefined=True, vr="SQ"):
        content = b"".join(items)
        if undefined:
            return self.head(tag, vr, UNDEFINED) + content + self.mark(SEQUENCE_END)
        return self.head(tag, vr, len(content)) + content


E = Writer()
I = Writer(explicit=False)
B = Writer(big=True)


def meta(syntax, writer=E, preamble=True):
    elements = b"".join([
        writer.element(0x00020001, "OB", b"\0\1"),
        writer.element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.1.1"),
        writer.element(0x00020003, "UI", "1.2.826.0.1.3680043.8.498.7"),
        writer.element(0x00020010, "UI", syntax),
    ])
    length = writer.head(0x00020000, "UL", 4) + struct.pack("<I", len(elements))
    return (b"\0" * 128 if preamble else b"") + b"DICM" * preamble + length + elements


WINDOW = [(0x00281050, "DS", "2047.5"), (0x00281051, "DS", "4095"),
          (0x00281056, "CS", "LINEAR_EXACT")]
NAME = "window 2047.5/4095 (linear exact)"


def attributes(bits=12, allocated=16, signed=0, high=None, photometric="MONOCHROME2", samples=1,
               rows=HEIGHT, columns=WIDTH, extra=(), window=WINDOW):
    """The elements of a film by tag, without its pixels."""
    found = [
        (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.1.1"),
        (0x00080018, "UI", "1.2.826.0.1.3680043.8.498.7"),
        (0x00080060, "CS", "DX"),
        (0x00100010, "PN", "Phantom^Film"),
        (0x00100020, "LO", "P1"),
        (0x00280002, "US", samples),
        (0x00280004, "CS", photometric),
        (0x00280010, "US", rows),
        (0x00280011, "US", columns),
        (0x00280100, "US", allocated),
        (0x00280101, "US", bits),
        (0x00280102, "US", bits - 1 if high is None else high),
        (0x00280103, "US", signed),
        *window,
    ]
    elements = {tag: (vr, value) for tag, vr, value in found}
    for tag, vr, value in extra:
        elements[tag] = (vr, value)
    return elements


def encoded(elements, writer):
    """The elements in order; a value of bytes with no VR is written as it is."""
    parts = []
    for tag, (vr, value) in sorted(elements.items()):
        parts.append(value if vr is None else writer.element(tag, vr, value))
    return b"".join(parts)


def words(values, order="<"):
    return (np.asarray(values) & 0xFFFF).astype(order + "u2").tobytes()


def fragments(*streams, table=b"", end=True):
    parts = [E.mark(ITEM, len(table)) + table]
    for stream in streams:
        stream += b"\0" * (len(stream) % 2)
        parts.append(E.mark(ITEM, len(stream)) + stream)
    return b"".join(parts) + (E.mark(SEQUENCE_END) if end else b"")


def film(pixels, elements, writer=E, syntax=EXPLICIT, vr="OW", meta_writer=E):
    data = encoded(elements, writer) + writer.head(0x7FE00010, vr, len(pixels)) + pixels
    return meta(syntax, meta_writer) + data


def compressed(stream, elements, syntax, writer=E):
    data = encoded(elements, writer) + writer.head(0x7FE00010, "OB", UNDEFINED)
    return meta(syntax) + data + fragments(stream)


def jpeg_lossless(values, bits):
    return imagecodecs.ljpeg_encode(values.astype(np.uint16), bitspersample=bits)


def jpeg_ls(values):
    return imagecodecs.jpegls_encode(np.ascontiguousarray(values))


def jpeg_2000(values, bits):
    return imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True, bitspersample=bits, level=0)


def main():
    (HERE / "grey").mkdir(exist_ok=True)
    p8, p12, p16 = picture(8), picture(12), picture(16)
    g12 = exact(p12, 0, 4095)
    p = words(p12)
    plain = attributes()

    data_sets(p12, g12, p, plain)
    values_to_grey(p8, p12, p16, g12, p)
    geometry(p8, p12, p16, g12, p)
    nothing_on_it(p12, p)
    colours(p8)
    formats(p8, p12, p16, g12)
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def data_sets(p12, g12, p, plain):
    """Elements written in another way than announced, and ends that are missing."""
    private = 0x00091001
    creator = {0x00090010: ("LO", "PLUMBLINE")}

    def with_element(name, value, writer=E, syntax=EXPLICIT, **how):
        elements = {**plain, **creator, private: (None, value)}
        write(f"{name}.dcm", film(p, elements, writer, syntax), g12, notes=[NAME], **how)

    inner_i = I.element(0x00091002, "LO", "within") + I.element(0x00280010, "US", 7)
    inner_e = E.element(0x00091002, "LO", "within") + E.element(0x00280010, "US", 7)
    with_element("un_of_undefined_length", E.sequence(private, I.item(inner_i), vr="UN"))
    with_element("un_within_un", E.sequence(private, I.item(I.sequence(0x00091003, I.item(inner_i))), vr="UN"))
    with_element("un_of_undefined_length_holds_explicit", E.sequence(private, E.item(inner_e), vr="UN"))
    with_element("un_of_known_length", E.sequence(private, E.item(inner_e), vr="UN", undefined=False))
    with_element("vr_that_is_none_long", E.tag(private) + b"ZZ\0\0" + struct.pack("<I", 6) + b"abcdef")
    with_element("vr_that_is_none_short", E.tag(private) + b"ZZ" + struct.pack("<H", 6) + b"abcdef")
    with_element("vr_of_question_marks", E.tag(private) + b"??" + struct.pack("<H", 6) + b"abcdef")
    with_element("vr_of_zeros", E.tag(private) + b"\0\0" + struct.pack("<H", 6) + b"abcdef")
    with_element("one_implicit_element_among_explicit", I.element(private, "LO", "abcdef"))
    with_element("one_explicit_element_among_implicit", E.element(private, "LO", "abcdef"), I, IMPLICIT)
    with_element("sequence_within_sequence", E.sequence(private, E.item(E.sequence(0x00091003, E.item(inner_e)))))
    item = E.item(inner_e)
    head = E.head(private, "SQ", UNDEFINED)
    with_element("sequence_delimiter_missing", head + item)
    with_element("sequence_delimiter_nulled", head + item + b"\0" * 8)
    with_element("sequence_delimiter_with_length", head + item + E.mark(SEQUENCE_END, 8))
    unended = E.mark(ITEM, UNDEFINED) + inner_e
    with_element("item_without_end", head + unended + E.mark(SEQUENCE_END))
    with_element("first_item_without_end", head + unended + item + E.mark(SEQUENCE_END))
    with_element("item_delimiter_nulled", head + unended + b"\0" * 8 + E.mark(SEQUENCE_END))
    nested = E.head(0x00091003, "SQ", UNDEFINED) + item
    with_element("nested_sequence_delimiter_missing", E.sequence(private, E.item(nested)))
    with_element("item_of_known_length_with_delimiter",
                 E.sequence(private, E.item(inner_e, undefined=False) + E.mark(ITEM_END)))
    nested = E.item(E.sequence(0x00091003, E.item(inner_e, undefined=False) + E.mark(ITEM_END)))
    with_element("nested_item_of_known_length_with_delimiter", E.sequence(private, nested))
    with_element("long_vr_with_short_length", E.tag(private) + b"OB" + struct.pack("<H", 6) + b"abcdef")
    out_of_order = E.tag(private) + b"ZZ\0\0" + struct.pack("<I", 6) + b"abcdef" + E.element(0x00080070, "LO", "late")
    with_element("vr_that_is_none_before_element_out_of_order", out_of_order)
    with_element("stray_sequence_delimiter", E.element(private, "LO", "abc") + E.mark(SEQUENCE_END))
    fake = E.element(private, "LO", "abc") + E.element(0x00091004, "OB", E.mark(SEQUENCE_END) + E.mark(ITEM))
    with_element("delimiters_within_a_value", fake)

    # As large as real films, so that a wrong length leads into pixels. Deflated, they are small files.
    large = np.kron(p12, np.ones((28, 28), np.int64))
    large_grey = exact(large, 0, 4095)
    rows, columns = large.shape
    for name, value in [
        ("implicit_element", I.element(private, "LO", "abcdef")),
        ("vr_of_question_marks", E.tag(private) + b"??" + struct.pack("<H", 2) + b"ab"),
        ("vr_that_is_none", E.tag(private) + b"ZZ\0\0" + struct.pack("<I", 6) + b"abcdef"),
        ("long_vr_with_short_length", E.tag(private) + b"UN" + struct.pack("<H", 4) + b"\1\0\2\0"),
        ("item_delimiter_nulled", head + unended + b"\0" * 8 + E.mark(SEQUENCE_END)),
        ("sequence_delimiter_nulled", head + item + b"\0" * 8),
        ("sequence_delimiter_missing", head + item),
        ("item_without_end", head + unended + E.mark(SEQUENCE_END)),
    ]:
        elements = {**attributes(rows=rows, columns=columns), **creator, private: (None, value)}
        data = film(words(large), elements)[len(meta(EXPLICIT)):]
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        write(f"large_{name}.dcm", meta(DEFLATED) + deflater.compress(data) + deflater.flush(), large_grey, notes=[NAME])

    write("implicit_under_explicit.dcm", film(p, plain, I, EXPLICIT), g12, notes=[NAME])
    write("explicit_under_implicit.dcm", film(p, plain, E, IMPLICIT), g12, notes=[NAME])
    write("big_endian_under_little.dcm", film(words(p12, ">"), plain, B, EXPLICIT), g12, notes=[NAME])
    write("little_endian_under_big.dcm", film(p, plain, E, BIG), g12, notes=[NAME])
    write("file_meta_in_implicit_vr.dcm", film(p, plain, meta_writer=I), g12, notes=[NAME])
    whole = film(p, plain)
    wrong = bytearray(whole)
    wrong[140:144] = struct.pack("<I", 7)
    write("meta_group_length_wrong.dcm", bytes(wrong), g12, notes=[NAME])
    write("zeros_after_the_pixels.dcm", whole + b"\0" * 100, g12, notes=[NAME])
    write("no_preamble_but_its_end.dcm", whole[128:], g12, notes=[NAME])
    write("native_of_undefined_length.dcm",
          meta(EXPLICIT) + encoded(plain, E) + E.head(0x7FE00010, "OW", UNDEFINED) + p + E.mark(SEQUENCE_END), g12, notes=[NAME])
    write("no_preamble_no_meta.dcm", whole[len(meta(EXPLICIT)):], g12, notes=[NAME])
    big = film(words(p12, ">"), plain, B, BIG)
    write("no_preamble_no_meta_big_endian.dcm", big[len(meta(BIG)):], g12, notes=[NAME])
    data = whole[len(meta(EXPLICIT)):]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    write("deflated.dcm", meta(DEFLATED) + deflater.compress(data) + deflater.flush(), g12, notes=[NAME])
    write("deflated_as_zlib.dcm", meta(DEFLATED) + zlib.compress(data), g12, notes=[NAME])
    write("private_syntax_of_big_endian_pixels.dcm",
          film(words(p12, ">"), plain, I, "1.2.840.113619.5.2"), g12, notes=[NAME])
    write("private_syntax_unknown.dcm", film(p, plain, E, "1.3.6.1.4.1.99999.1"),
          refused=("Unsupported", "1.3.6.1.4.1.99999.1"))
    write("cut_in_its_pixels.dcm", whole[:-100], refused=("Damaged", "bytes of pixels where"))
    write("cut_in_its_header.dcm", whole[:423], refused=("Damaged", "ends within"))
    write("sequence_without_any_end.dcm",
          film(p, {**plain, private: (None, head + unended)}), refused=("Damaged", "no end"))

    # Encapsulated pixels.
    stream = jpeg_lossless(p12, 12)
    elements = encoded(plain, E)
    open_head = E.head(0x7FE00010, "OB", UNDEFINED)
    for name, syntax, pixels in [
        ("encapsulated_of_known_length", JPEG_LOSSLESS,
         E.head(0x7FE00010, "OB", len(fragments(stream))) + fragments(stream)),
        ("encapsulated_without_end", JPEG_LOSSLESS, open_head + fragments(stream, end=False)),
        ("encapsulated_end_nulled", JPEG_LOSSLESS, open_head + fragments(stream, end=False) + b"\0" * 8),
        ("encapsulated_in_two_with_table", JPEG_LOSSLESS,
         open_head + fragments(stream[:1000], stream[1000:], table=b"\0\0\0\0")),
        ("encapsulated_without_table", JPEG_LOSSLESS,
         open_head + fragments(stream)[8:]),
        ("encapsulated_without_items", JPEG_LOSSLESS, E.head(0x7FE00010, "OB", len(stream)) + stream),
        ("encapsulated_of_undefined_length_without_items", JPEG_LOSSLESS, open_head + stream),
        ("encapsulated_of_known_length_under_uncompressed_syntax", EXPLICIT,
         E.head(0x7FE00010, "OB", len(fragments(stream))) + fragments(stream)),
        ("encapsulated_under_uncompressed_syntax", EXPLICIT, open_head + fragments(stream)),
        ("jpeg_2000_under_jpeg_syntax", JPEG_LOSSLESS, open_head + fragments(jpeg_2000(p12.astype(np.uint16), 12))),
    ]:
        write(f"{name}.dcm", meta(syntax) + elements + pixels, g12, notes=[NAME])
    rle = rle_of([p12 >> 8, p12 & 255])
    write("rle_in_implicit_vr.dcm", compressed(rle, plain, RLE, I), g12, notes=[NAME])
    write("rle_without_table.dcm", meta(RLE) + elements + open_head + fragments(rle)[8:], g12, notes=[NAME])
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    write("deflated_frame.dcm",
          compressed(deflater.compress(p) + deflater.flush(), plain, "1.2.840.10008.1.2.8.1"), g12, notes=[NAME])
    write("high_throughput_jpeg_2000.dcm", compressed(b"\xff\x4f\xff\x51" + b"\0" * 60, plain, HTJ2K),
          refused=("Unsupported", "HTJ2K"))
    write("jpeg_xl.dcm", compressed(b"\xff\x0a" + b"\0" * 60, plain, "1.2.840.10008.1.2.4.110"),
          refused=("Unsupported", "JPEG XL"))
    one = attributes(extra=[(0x00280008, "IS", "1")])
    write("multi_frame_of_one_frame.dcm", film(p, one), g12, notes=[NAME])
    more = attributes(extra=[(0x00280008, "IS", "2")])
    write("multi_frame_of_two_frames.dcm", film(p + p, more), refused=("Unsupported", "2 frames"))
    directory = {0x00041220: ("SQ", b""), 0x00041130: ("CS", "CD"),
                 0x00041220: (None, E.sequence(0x00041220, E.item(E.element(0x00041430, "CS", "PATIENT"))))}
    write("DICOMDIR.dcm", meta(EXPLICIT) + encoded(directory, E), refused=("Unsupported", "DICOMDIR"))


def rle_of(planes):
    """RLE Lossless of byte planes, as literal runs."""
    segments = []
    for plane in planes:
        packed = b""
        raw = plane.astype(np.uint8).tobytes()
        for at in range(0, len(raw), 128):
            run = raw[at : at + 128]
            packed += bytes([len(run) - 1]) + run
        segments.append(packed + b"\x80" * (len(packed) % 2))
    offsets = [64 + sum(map(len, segments[:at])) for at in range(len(segments))]
    header = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def lut(sequence, descriptor, entries, vr="US", writer=E):
    data = entries if isinstance(entries, bytes) else words(entries)
    return (None, writer.sequence(sequence, writer.item(
        writer.element(0x00283002, vr, descriptor), writer.element(0x00283006, "OW", data))))


def values_to_grey(p8, p12, p16, g12, p):
    VOI, MODALITY = 0x00283010, 0x00283000
    no_window = attributes(window=[])
    shifted = [(0x00281052, "DS", "-1024"), (0x00281053, "DS", "1")]
    entries = np.rint(4095 * (np.arange(4096) / 4095) ** 0.7).astype(int)
    curve = exact(entries[p12], 0, 4095)
    table = "window by lookup table"

    def with_lut(name, value, grey, extra=(), writer=E, syntax=EXPLICIT, pixels=p):
        elements = {**no_window, **{t: (v, x) for t, v, x in extra}, VOI: value}
        write(f"{name}.dcm", film(pixels, elements, writer, syntax), grey, notes=[table])

    with_lut("voi_lut", lut(VOI, [4096, 0, 12], entries), curve)
    for name, vr, writer, syntax in [("us", "US", E, EXPLICIT), ("ss", "SS", E, EXPLICIT), ("implicit", "US", I, IMPLICIT)]:
        value = lut(VOI, [4096, -1024, 12], entries, vr, writer)
        with_lut(f"voi_lut_negative_after_rescale_{name}", value, curve, shifted, writer, syntax)
    with_lut("voi_lut_12_bits_said_16", lut(VOI, [4096, 0, 16], entries), curve)
    with_lut("voi_lut_16_bits_said_12", lut(VOI, [4096, 0, 12], 16 * entries + 15), exact(16 * entries[p12] + 15, 0, 65535))
    entries_8 = entries >> 4
    with_lut("voi_lut_of_bytes", lut(VOI, [4096, 0, 8], entries_8.astype(np.uint8).tobytes()), exact(entries_8[p12], 0, 255))
    swapped = entries_8.astype(np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    with_lut("voi_lut_of_bytes_big_endian", lut(VOI, [4096, 0, 8], swapped, writer=B), exact(entries_8[p12], 0, 255),
             writer=B, syntax=BIG, pixels=words(p12, ">"))
    value = E.sequence(VOI, I.item(I.element(0x00283002, "US", [4096, 0, 12]), I.element(0x00283006, "OW", words(entries))), vr="UN")
    with_lut("voi_lut_as_un", (None, value), curve)
    high = lut(VOI, [4096, 40000, 12], entries)
    with_lut("voi_lut_from_40000", high, curve, [(0x00281052, "DS", "40000"), (0x00281053, "DS", "1")])
    # A modality LUT's output is never negative, its input is as the pixels are.
    signed = attributes(signed=1, window=[], extra=[])
    elements = {**signed, MODALITY: lut(MODALITY, [4096, -2048, 16], 2 * np.arange(4096)), VOI: lut(VOI, [8192, 0, 12], np.repeat(entries, 2))}
    write("modality_lut_of_signed_us.dcm", film(words(p12 - 2048), elements), curve, notes=[table])
    write("voi_lut_sequence_with_nothing_but_its_end.dcm",
          film(p, {**attributes(), VOI: (None, E.sequence(VOI, E.mark(SEQUENCE_END), undefined=False))}), g12, notes=[NAME])
    write("voi_lut_cut.dcm", film(p, {**no_window, VOI: lut(VOI, [4096, 0, 12], entries[:100])}), refused=("Damaged", "lookup table"))

    # Padding is as the pixels are.
    padded = (p12 - 2048).copy()
    padded[:, :24] = -2000
    grey = percentiles(padded, padded != -2000)
    grey[padded == -2000] = 0
    percent = "no window: percentiles 0.5 to 99.5"
    for vr in ["US", "SS"]:
        elements = attributes(signed=1, window=[], extra=[(0x00280120, vr, -2000)])
        write(f"padding_of_signed_as_{vr.lower()}.dcm", film(words(padded), elements), grey, notes=[percent])
    padded = p16.copy()
    padded[:, :24] = 65000
    padded[(padded > 64000) & (padded != 65000)] = 64000
    grey = percentiles(padded, padded != 65000)
    grey[padded == 65000] = 0
    outside = p12.copy()
    outside[:, :24] = 0xFFFF
    black = exact(p12, 0, 4095)
    black[:, :24] = 0
    write("padding_outside_of_bits_stored.dcm", film(words(outside), attributes(extra=[(0x00280120, "US", 0xFFFF)])), black, notes=[NAME])
    elements = attributes(16, window=[], extra=[(0x00280120, "SS", 65000)])
    write("padding_of_unsigned_as_ss.dcm", film(words(padded), elements), grey, notes=[percent])

    # Bits of compressed pixels.
    high = attributes(high=15)
    full = (p12 << 4 | 5).astype(np.uint16)
    write("high_bit_15_native.dcm", film(words(full), high), g12, notes=[NAME])
    write("high_bit_15_of_low_words.dcm", film(p, high), g12, notes=[NAME])
    write("high_bit_0.dcm", film(p, attributes(high=0)), g12, notes=[NAME])
    write("high_bit_15_jpeg_lossless.dcm", compressed(jpeg_lossless(full, 16), high, JPEG_LOSSLESS), g12, notes=[NAME])
    write("high_bit_15_jpeg_ls.dcm", compressed(jpeg_ls(full), high, JPEG_LS), g12, notes=[NAME])
    write("high_bit_15_jpeg_2000.dcm", compressed(jpeg_2000(full, 16), high, JPEG_2000), g12, notes=[NAME])
    write("high_bit_15_rle.dcm", compressed(rle_of([full >> 8, full & 255]), high, RLE), g12, notes=[NAME])
    wide = [(0x00281050, "DS", "32767.5"), (0x00281051, "DS", "65535"), (0x00281056, "CS", "LINEAR_EXACT")]
    g16 = exact(p16, 0, 65535)
    said = attributes(12, window=wide)
    notes = ["16 bits in its pixels, not 12", "window 32767.5/65535 (linear exact)"]
    write("jpeg_ls_16_said_12.dcm", compressed(jpeg_ls(p16.astype(np.uint16)), said, JPEG_LS), g16, notes=notes)
    write("jpeg_2000_16_said_12.dcm", compressed(jpeg_2000(p16.astype(np.uint16), 16), said, JPEG_2000), g16, notes=notes)
    write("native_16_said_12.dcm", film(words(p16), said), g16, notes=notes)
    write("rle_16_said_12.dcm", compressed(rle_of([p16 >> 8, p16 & 255]), said, RLE), g16, notes=notes)
    dark = (p12 // 16 << 4).astype(np.uint16)
    dim = attributes(high=15, window=[(0x00281050, "DS", "127.5"), (0x00281051, "DS", "255"), (0x00281056, "CS", "LINEAR_EXACT")])
    write("high_bit_15_dark_jpeg_ls.dcm", compressed(jpeg_ls(dark), dim, JPEG_LS), exact(p12 // 16, 0, 255),
          notes=["window 127.5/255 (linear exact)"])
    write("jpeg_lossless_16_said_12.dcm", compressed(jpeg_lossless(p16, 16), said, JPEG_LOSSLESS), g16, notes=notes)
    narrow = attributes(12, 16, window=[])
    write("jpeg_lossless_8_said_12.dcm", compressed(jpeg_lossless(p8, 8), narrow, JPEG_LOSSLESS), percentiles(p8),
          notes=["8 bits in its pixels, not 12", "no window: percentiles 0.5 to 99.5"])
    s12 = (p12 - 2048) & 0xFFF
    zero = [(0x00281050, "DS", "-0.5"), (0x00281051, "DS", "4095"), (0x00281056, "CS", "LINEAR_EXACT")]
    signed = attributes(16, signed=1, window=zero)
    notes = ["12 bits in its pixels, not 16", "window -0.5/4095 (linear exact)"]
    write("jpeg_2000_unsigned_for_signed.dcm", compressed(jpeg_2000(s12.astype(np.uint16), 12), signed, JPEG_2000), g12, notes=notes)
    write("jpeg_lossless_12_for_signed_16.dcm", compressed(jpeg_lossless(s12, 12), signed, JPEG_LOSSLESS), g12, notes=notes)
    signed_stream = jpeg_2000((p12 - 2048).astype(np.int16), 12)
    write("jpeg_2000_signed_for_unsigned.dcm", compressed(signed_stream, attributes(12, window=zero), JPEG_2000), g12,
          notes=["window -0.5/4095 (linear exact)"])
    unused = (p12 | 0xF000).astype(np.uint16)
    write("unused_bits_set_jpeg_ls.dcm", compressed(jpeg_ls(unused), attributes(), JPEG_LS), g12, notes=[NAME])

    # Functional groups.
    rescale = E.sequence(0x00289145, E.item(E.element(0x00281052, "DS", "-100"), E.element(0x00281053, "DS", "2")))
    window = E.sequence(0x00289132, E.item(E.element(0x00281050, "DS", "3995"), E.element(0x00281051, "DS", "8190"),
                                           E.element(0x00281056, "CS", "LINEAR_EXACT")))
    shown = ["window 3995/8190 (linear exact)"]
    for name, groups in [("shared", {0x52009229: rescale + window}), ("per_frame", {0x52009230: rescale + window}),
                         ("both", {0x52009229: rescale, 0x52009230: window})]:
        elements = dict(no_window)
        for tag, content in groups.items():
            elements[tag] = (None, E.sequence(tag, E.item(content)))
        write(f"functional_groups_{name}.dcm", film(p, elements), g12, notes=shown)

    # Bytes within words.
    g8 = exact(p8, 0, 255)
    eight = [(0x00281050, "DS", "127.5"), (0x00281051, "DS", "255"), (0x00281056, "CS", "LINEAR_EXACT")]
    raw = p8.astype(np.uint8)
    swapped = raw.reshape(-1, 2)[:, ::-1].tobytes()
    shown = ["window 127.5/255 (linear exact)"]
    elements = attributes(8, 8, window=eight)
    write("big_endian_bytes_in_ow.dcm", film(swapped, elements, B, BIG, "OW"), g8, notes=shown)
    write("big_endian_bytes_in_ob.dcm", film(raw.tobytes(), elements, B, BIG, "OB"), g8, notes=shown)
    odd = raw[:71, :59]
    padded = odd.tobytes() + b"\0"
    swapped = np.frombuffer(padded, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    elements = attributes(8, 8, rows=71, columns=59, window=eight)
    write("big_endian_odd_bytes_in_ow.dcm", film(swapped, elements, B, BIG, "OW"), g8[:71, :59].copy(), notes=shown)

    # Numbers that are there and cannot be read.
    for name, tag, value in [("slope", 0x00281053, "0,5"), ("intercept", 0x00281052, "1e"), ("centre", 0x00281050, "2047,5"),
                             ("width", 0x00281051, "4095 HU"), ("frames", 0x00280008, "one"), ("spacing", 0x00280030, "0,2\\0,2"),
                             ("nominal_spacing", 0x00182010, "a\\b")]:
        write(f"no_number_{name}.dcm", film(p, attributes(extra=[(tag, "DS", value)])), refused=("Damaged", "is no number"))
    # A length of one byte, which the writer above would pad.
    one = E.tag(0x00280101) + b"US" + struct.pack("<H", 1) + b"\x0c"
    write("word_of_one_byte.dcm", film(p, {**attributes(), 0x00280101: (None, one)}), refused=("Damaged", "no words of 16 bits"))
    first = [(0x00281050, "DS", "40\\2047.5"), (0x00281051, "DS", "\\4095"), (0x00281056, "CS", "LINEAR_EXACT")]
    write("first_window_without_width.dcm", film(p, attributes(window=first)), g12, notes=[NAME])
    write("photometric_in_small_letters.dcm", film(p, attributes(photometric="monochrome2")), g12, notes=[NAME])
    write("photometric_unknown.dcm", film(p, attributes(photometric="MONOCHROME3")), refused=("Unsupported", "MONOCHROME3"))
    half = [(0x00281053, "DS", " 0.5 "), (0x00281052, "DS", "+0"), (0x00281050, "DS", "1023.75\\40"), (0x00281051, "DS", "2.0475E3\\80"),
            (0x00281056, "CS", "LINEAR_EXACT")]
    write("numbers_with_spaces_and_signs.dcm", film(p, attributes(window=half)), g12, notes=["window 1023.75/2047.5 (linear exact)"])


def tiff(values, tags=(), **how):
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=how.pop("bigtiff", False)) as writer:
        writer.write(values, photometric=how.pop("photometric", "minisblack"), extratags=tags, metadata=None, **how)
    return out.getvalue()


def pillow(values, kind, **how):
    out = io.BytesIO()
    Image.fromarray(values).save(out, kind, **how)
    return out.getvalue()


def geometry(p8, p12, p16, g12, p):
    square = [(0x00280030, "DS", "0.2\\0.2")]
    for name, extra in [
        ("pixel_spacing", [(0x00280030, "DS", "0.2\\0.143")]),
        ("imager_spacing_beside_square_pixel_spacing", square + [(0x00181164, "DS", "0.2\\0.143")]),
        ("nominal_scanned_spacing", [(0x00182010, "DS", "0.4\\0.2")]),
        ("aspect_ratio", [(0x00280034, "IS", "2\\1")]),
    ]:
        write(f"not_square_by_{name}.dcm", film(p, attributes(extra=extra)), refused=("NotSquare", "not square"))
    measures = E.sequence(0x00289110, E.item(E.element(0x00280030, "DS", "0.4\\0.2")))
    elements = {**attributes(), 0x52009229: (None, E.sequence(0x52009229, E.item(measures)))}
    write("not_square_by_pixel_measures.dcm", film(p, elements), refused=("NotSquare", "not square"))
    write("square_by_all.dcm", film(p, attributes(extra=square + [(0x00181164, "DS", "0.143\\0.143"), (0x00280034, "IS", "1\\1")])), g12, notes=[NAME])
    g8 = percentiles(p8)
    percent = ["no window: percentiles 0.5 to 99.5"]
    raw, raw16 = p8.astype(np.uint8), p16.astype(np.uint16)
    write("not_square.png", pillow(raw, "PNG", dpi=(100, 200)), refused=("NotSquare", "not square"))
    write("not_square.jpg", pillow(raw, "JPEG", dpi=(100, 200)), refused=("NotSquare", "not square"))
    write("not_square.tiff", tiff(raw, resolution=(100, 200)), refused=("NotSquare", "not square"))
    write("square.png", pillow(raw, "PNG", dpi=(150, 150)), g8, notes=percent)

    # Orientation: the film lies in the file so that it must be turned.
    n = np.asarray
    for number, lying, words_of in [
        (2, raw16[:, ::-1], "turned over, left to right"),
        (3, raw16[::-1, ::-1], "turned by 180 degrees"),
        (4, raw16[::-1], "turned over, top to bottom"),
        (5, raw16.T, "turned by 90 degrees clockwise and over, left to right"),
        (6, raw16.T[::-1], "turned by 90 degrees clockwise"),
        (7, raw16.T[::-1, ::-1], "turned by 90 degrees clockwise and over, top to bottom"),
        (8, raw16.T[:, ::-1], "turned by 90 degrees anticlockwise"),
    ]:
        data = tiff(n(lying).copy(), tags=[(274, "H", 1, number, True)])
        grey = np.asarray(percentiles(p16))
        write(f"orientation_{number}.tiff", data, grey, notes=percent + [words_of])
    exif = Image.Exif()
    exif[274] = 6
    data = pillow(np.kron(np.rint(p8 / 4) * 4, np.ones((8, 8))).astype(np.uint8).T[::-1].copy(), "JPEG", quality=100, exif=exif)
    decoded = np.asarray(Image.open(io.BytesIO(data))).astype(np.int64)
    write("orientation_6.jpg", data, percentiles(decoded.T[:, ::-1]), tolerance=3 * 257, notes=percent + ["turned by 90 degrees clockwise"])
    turned = Image.Exif()
    turned[274] = 6
    data = pillow(raw.T[::-1].copy(), "PNG", exif=turned)
    at = data.index(b"eXIf") - 4
    length = 12 + struct.unpack(">I", data[at : at + 4])[0]
    end = data.rindex(b"IEND") - 4
    late = data[:at] + data[at + length : end] + data[at : at + length] + data[end:]
    for name, picture_of in [("before", data), ("after", late)]:
        write(f"orientation_6_{name}_pixels.png", picture_of, percentiles(p8), notes=percent + ["turned by 90 degrees clockwise"])
    for name, orientation, lying, words_of in [
        ("upright", "L\\F", p12, None),
        ("mirrored", "R\\F", p12[:, ::-1], "turned over, left to right"),
        ("upside_down", "L\\H", p12[::-1], "turned over, top to bottom"),
        ("turned_round", "R\\H", p12[::-1, ::-1], "turned by 180 degrees"),
        ("on_its_side", "F\\R", p12.T[::-1], "turned by 90 degrees clockwise"),
        ("on_its_other_side", "H\\L", p12.T[:, ::-1], "turned by 90 degrees anticlockwise"),
        ("lateral_upside_down", "A\\H", p12[::-1], "turned over, top to bottom"),
        ("unknown", "X\\Y", p12, None),
    ]:
        rows, columns = lying.shape
        elements = attributes(rows=rows, columns=columns, extra=[(0x00200020, "CS", orientation)])
        write(f"patient_{name}.dcm", film(words(lying), elements), g12, notes=[NAME] + ([words_of] if words_of else []))

    # Pages.
    def pages(*kinds):
        out = io.BytesIO()
        with tifffile.TiffWriter(out) as writer:
            for kind in kinds:
                values = raw16[::2, ::2] if kind & 1 else raw16
                writer.write(values.copy(), photometric="minisblack", subfiletype=kind, metadata=None)
        return out.getvalue()

    grey = percentiles(p16)
    write("two_films.tiff", pages(0, 0), refused=("Unsupported", "2 pages"))
    write("reduced_page_after.tiff", pages(0, 1), grey, notes=percent)
    write("reduced_page_before.tiff", pages(1, 0), grey, notes=percent)


def nothing_on_it(p12, p):
    flat = words(np.full((HEIGHT, WIDTH), 800))
    none = attributes(window=[])
    write("blank.dcm", film(flat, none), refused=("Blank", "blank"))
    noise = 800 + np.random.RandomState(1).randint(0, 3, (HEIGHT, WIDTH))
    write("blank_with_noise.dcm", film(words(noise), none), refused=("Blank", "blank"))
    write("blank_with_window.dcm", film(flat, attributes()), refused=("Blank", "blank"))
    write("blank.png", pillow(np.full((HEIGHT, WIDTH), 9, np.uint8), "PNG"), refused=("Blank", "blank"))
    for name, centre in [("below", "-3000"), ("above", "9000")]:
        window = [(0x00281050, "DS", centre), (0x00281051, "DS", "100")]
        write(f"window_{name}_all_pixels.dcm", film(p, attributes(window=window)), refused=("NothingShown", "window shows nothing"))
    padded = p12.copy()
    padded[:, :20] = 0
    window = [(0x00281050, "DS", "-3000"), (0x00281051, "DS", "100"), (0x00280120, "US", 0)]
    write("window_below_all_but_padding.dcm", film(words(padded), attributes(window=window)), refused=("NothingShown", "window shows nothing"))
    write("for_processing_by_intent.dcm", film(p, attributes(extra=[(0x00080068, "CS", "FOR PROCESSING")])), refused=("ForProcessing", "FOR PROCESSING"))
    write("for_processing_by_class.dcm", film(p, attributes(extra=[(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.1.1.1")])), refused=("ForProcessing", "FOR PROCESSING"))


def colours(p8):
    raw = p8.astype(np.uint8)
    rgb = np.stack([raw] * 3, axis=-1)
    grey = percentiles(p8)
    percent = ["no window: percentiles 0.5 to 99.5"]

    def colour(photometric, planar=0, **how):
        return attributes(8, 8, photometric=photometric, samples=3, window=[], extra=[(0x00280006, "US", planar)], **how)

    write("rgb_by_pixel.dcm", film(rgb.tobytes(), colour("RGB"), vr="OB"), grey, notes=percent)
    write("rgb_by_plane.dcm", film(rgb.transpose(2, 0, 1).tobytes(), colour("RGB", 1), vr="OB"), grey, notes=percent)
    ybr = np.stack([raw, np.full_like(raw, 128), np.full_like(raw, 128)], axis=-1)
    write("ybr_full.dcm", film(ybr.tobytes(), colour("YBR_FULL"), vr="OB"), grey, notes=percent)
    write("rgb_rle.dcm", compressed(rle_of([raw, raw, raw]), colour("RGB", 1), RLE), grey, notes=percent)
    stream = imagecodecs.jpeg2k_encode(rgb, codecformat="j2k", reversible=True, level=0, mct=True)
    write("rgb_jpeg_2000.dcm", compressed(stream, colour("YBR_RCT"), JPEG_2000), grey, notes=percent)
    stream = imagecodecs.jpeg2k_encode(ybr, codecformat="j2k", reversible=True, level=0, mct=False)
    write("ybr_full_jpeg_2000.dcm", compressed(stream, colour("YBR_FULL"), JPEG_2000), grey, notes=percent)
    stream = pillow(rgb, "JPEG", quality=95)
    decoded = np.asarray(Image.open(io.BytesIO(stream)).convert("L")).astype(np.int64)
    write("ybr_jpeg.dcm", compressed(stream, colour("YBR_FULL_422"), JPEG_BASELINE), percentiles(decoded), tolerance=4 * 257, notes=percent)
    halved = np.stack([raw[:, ::2], raw[:, 1::2], np.full_like(raw[:, ::2], 128), np.full_like(raw[:, ::2], 128)], axis=-1)
    write("ybr_full_422.dcm", film(halved.tobytes(), colour("YBR_FULL_422"), vr="OB"), grey, notes=percent)
    # Components that are red, green and blue, as an Adobe segment says or nothing.
    adobe = imagecodecs.jpeg8_encode(rgb, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444")
    bare = without_adobe(adobe)
    decoded = np.asarray(imagecodecs.jpeg8_decode(adobe)).astype(np.int64)
    assert np.abs(decoded[..., 0] - p8).max() < 6, "red is not as it was"
    decoded = percentiles((decoded.sum(axis=-1) + 1) // 3)
    write("rgb_jpeg_adobe.dcm", compressed(adobe, colour("RGB"), JPEG_BASELINE), decoded, tolerance=4 * 257, notes=percent)
    write("rgb_jpeg_unsaid.dcm", compressed(bare, colour("RGB"), JPEG_BASELINE), decoded, tolerance=4 * 257, notes=percent)
    write("rgb_adobe.jpg", adobe, decoded, tolerance=4 * 257, notes=percent)
    write("rgb_jpeg_ls.dcm", compressed(imagecodecs.jpegls_encode(rgb), colour("RGB"), JPEG_LS), refused=("Unsupported", "colours in lossless"))
    hues = np.random.RandomState(2).randint(0, 256, rgb.shape).astype(np.uint8)
    write("rgb_in_colour.dcm", film(hues.tobytes(), colour("RGB"), vr="OB"), refused=("Colour", "in colour"))

    # Palettes.
    def palette(tables, bits):
        extra = []
        for at, table in enumerate(tables):
            extra.append((0x00281101 + at, "US", [256, 0, bits]))
            data = words(table) if bits == 16 else np.asarray(table, np.uint8).tobytes()
            extra.append((0x00281201 + at, "OW", data))
        return attributes(8, 8, photometric="PALETTE COLOR", window=[], extra=extra)

    mirrored = np.arange(255, -1, -1)
    inverse = percentiles(255 - p8)
    write("palette_of_grey_16_bits.dcm", film(raw.tobytes(), palette([mirrored * 257] * 3, 16), vr="OB"), inverse, notes=percent)
    write("palette_of_grey_8_bits.dcm", film(raw.tobytes(), palette([mirrored] * 3, 8), vr="OB"), inverse, notes=percent)
    ramp = np.arange(256)
    random = np.random.RandomState(3)
    many = [random.randint(0, 256, 256) for _ in range(3)]
    write("palette_of_colours_8_bits_said_16.dcm", film(raw.tobytes(), palette(many, 16), vr="OB"), refused=("Colour", "in colour"))
    said_8 = palette([ramp * 257] * 3, 16)
    for at in range(3):
        said_8[0x00281101 + at] = ("US", [256, 0, 8])
    write("palette_of_grey_16_bits_said_8.dcm", film(raw.tobytes(), said_8, vr="OB"), grey, notes=percent)
    fire = [np.minimum(255, ramp * 3), np.clip(ramp * 3 - 255, 0, 255), np.clip(ramp * 3 - 510, 0, 255)]
    write("palette_of_colours.dcm", film(raw.tobytes(), palette(fire, 8), vr="OB"), refused=("Colour", "in colour"))

    # Tints: black to a colour, and dark to bright between two.
    def luminance(picture):
        r, g, b = (picture[..., c].astype(np.int64) for c in range(3))
        return (299 * r + 587 * g + 114 * b + 500) // 1000

    share = p8[..., None] / 255
    for name, dark, bright in [("sepia", (20, 12, 4), (255, 235, 200)), ("blue", (0, 0, 30), (120, 180, 255)), ("green", (0, 0, 0), (60, 255, 90))]:
        tinted = np.rint(np.array(dark) + share * (np.array(bright) - np.array(dark))).astype(np.uint8)
        write(f"tint_{name}.png", pillow(tinted, "PNG"), percentiles(luminance(tinted)), notes=percent + ["tint taken out"])
        data = pillow(tinted, "JPEG", quality=90)
        decoded = np.asarray(Image.open(io.BytesIO(data)))
        write(f"tint_{name}.jpg", data, percentiles(luminance(decoded)), tolerance=5 * 257, notes=percent + ["tint taken out"])
    duotone = np.rint(np.array([0, 0, 255]) + share * np.array([255, 255, -255])).astype(np.uint8)
    write("tint_blue_to_yellow.png", pillow(duotone, "PNG"), percentiles(luminance(duotone)), notes=percent + ["tint taken out"])
    marked = rgb.copy()
    marked[5:12, 4:24] = [255, 30, 20]
    write("colour_burnt_in.png", pillow(marked, "PNG"), percentiles(luminance(marked)), notes=percent + ["colour burnt in on 3.24 %"])
    write("picture_in_colour.png", pillow(hues, "PNG"), refused=("Colour", "in colour"))
    heat = np.stack([np.clip(c, 0, 255) for c in (fire[0][raw], fire[1][raw], fire[2][raw])], -1).astype(np.uint8)
    write("picture_in_false_colours.png", pillow(heat, "PNG"), refused=("Colour", "in colour"))
    write("palette_of_grey.png", pillow_palette(raw), grey, notes=percent)
    cmyk = Image.fromarray(rgb).convert("CMYK")
    out = io.BytesIO()
    cmyk.save(out, "JPEG", quality=100)
    write("cmyk_grey.jpg", out.getvalue(), percentiles(p8), tolerance=6 * 257, notes=percent)
    large = np.kron(rgb, np.ones((4, 4, 1), np.uint8))
    rows, columns = large.shape[:2]
    for name, subsampling in [("whole", 0), ("halved", 2)]:
        stream = pillow(large, "JPEG", quality=95, subsampling=subsampling)
        for order, scans in [("", "0;\n1;\n2;\n"), ("_chrominance_first", "2;\n0;\n1;\n")]:
            apart = separate_scans(stream, scans)
            decoded = percentiles(np.asarray(Image.open(io.BytesIO(apart)).convert("L")).astype(np.int64))
            write(f"scans_apart_{name}{order}.jpg", apart, decoded, tolerance=4 * 257, notes=percent)
        elements = colour("YBR_FULL_422", rows=rows, columns=columns)
        write(f"scans_apart_{name}.dcm", compressed(apart, elements, JPEG_BASELINE), decoded, tolerance=4 * 257, notes=percent)
    red = without_jfif(imagecodecs.jpeg8_encode(large, level=95, colorspace="RGB", outcolorspace="RGB", subsampling="444"))
    apart = separate_scans(red, "0;\n1;\n2;\n")
    decoded = np.asarray(imagecodecs.jpeg8_decode(apart)).astype(np.int64)
    decoded = percentiles((decoded.sum(axis=-1) + 1) // 3)
    write("scans_apart_adobe_rgb.jpg", apart, decoded, tolerance=4 * 257, notes=percent)
    elements = colour("RGB", rows=rows, columns=columns)
    write("scans_apart_adobe_rgb.dcm", compressed(apart, elements, JPEG_BASELINE), decoded, tolerance=4 * 257, notes=percent)
    some = separate_scans(stream, "0;\n1 2;\n")
    write("scans_of_some_components.jpg", some, refused=("Unsupported", "a scan of their own"))


def without_adobe(stream, marker=0xEE):
    at = 2
    while stream[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
        if stream[at + 1] == marker:
            return stream[:at] + stream[at + length :]
        at += length
    return stream


def without_jfif(stream):
    return without_adobe(stream, 0xE0)


def pillow_palette(raw):
    picture = Image.fromarray(raw, "P")
    picture.putpalette([channel for value in range(256) for channel in (value,) * 3])
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def separate_scans(data, script):
    """The picture with other scans, by jpegtran."""
    if not shutil.which("jpegtran"):
        raise SystemExit("install libjpeg-turbo-progs for jpegtran")
    with tempfile.TemporaryDirectory() as folder:
        scans = Path(folder) / "scans"
        scans.write_text(script)
        return subprocess.run(["jpegtran", "-scans", str(scans)], input=data, capture_output=True, check=True).stdout


def formats(p8, p12, p16, g12):
    raw8, raw16 = p8.astype(np.uint8), p16.astype(np.uint16)
    g8, g16 = percentiles(p8), percentiles(p16)
    percent = ["no window: percentiles 0.5 to 99.5"]
    write("big.tiff", tiff(raw16, bigtiff=True), g16, notes=percent)
    write("white_is_zero_8.tiff", tiff(raw8, photometric="miniswhite"), percentiles(255 - p8), notes=percent)
    write("white_is_zero_16.tiff", tiff(raw16, photometric="miniswhite"), percentiles(65535 - p16), notes=percent)
    write("signed_16.tiff", tiff((p16 - 32768).astype(np.int16)), g16, notes=percent)
    write("signed_8.tiff", tiff((p8 - 128).astype(np.int8)), g8, notes=percent)
    write("unsigned_32.tiff", tiff((p16 * 60000 + 7).astype(np.uint32)), percentiles(p16 * 60000), tolerance=1, notes=percent)
    write("signed_32.tiff", tiff(((p16 - 32768) * 60000).astype(np.int32)), percentiles(p16 * 60000), tolerance=1, notes=percent)
    floats = (p16 / 65535 - 0.25).astype(np.float32)
    write("float_32.tiff", tiff(floats), percentiles(floats.astype(float)), tolerance=1, notes=percent)
    write("float_64.tiff", tiff(p16 * 1e-3), percentiles(p16 * 1e-3), tolerance=1, notes=percent)
    packed = tiff(np.rint(p16 / 16).astype(np.uint16), compression=None)
    write("lzw.tiff", pillow(raw16, "TIFF", compression="tiff_lzw"), g16, notes=percent)
    write("tiles.tiff", tiff(raw16, tile=(32, 32)), g16, notes=percent)
    write("rgb.tiff", tiff(np.stack([raw8] * 3, -1), photometric="rgb"), g8, notes=percent)
    packed = twelve_bits(p12)
    write("bits_12.tiff", packed, refused=("Unsupported", "TIFF"))
    write("grey.bmp", pillow(raw8, "BMP"), g8, notes=percent)
    write("short_header.bmp", short_bmp(raw8), g8, notes=percent)
    write("rgb.bmp", pillow(np.stack([raw8] * 3, -1), "BMP"), g8, notes=percent)
    write("lossless.webp", pillow(np.stack([raw8] * 3, -1), "WEBP", lossless=True), g8, notes=percent)
    with_end = jpeg_ls(p12.astype(np.uint16))
    assert with_end.endswith(b"\xff\xd9")
    write("jpeg_ls_without_end.dcm", compressed(with_end[:-2], attributes(), JPEG_LS), g12, notes=[NAME])
    # JPEG-LS with restarts: each interval is coded as a picture of its own.
    bands = [jpeg_ls(p12[at : at + 24].astype(np.uint16)) for at in range(0, HEIGHT, 24)]
    stream = joined(bands, 24)
    assert np.array_equal(imagecodecs.jpegls_decode(stream), p12), "CharLS reads it otherwise"
    write("jpeg_ls_with_restarts.dcm", compressed(stream, attributes(), JPEG_LS), g12, notes=[NAME])
    # What is no film, by name.
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("DICOM/1"), b"0")
    write("study.zip", out.getvalue(), refused=("Format", "ZIP archive"))
    write("study.iso", b"\0" * 32768 + b"\x01CD001\x01\0" + b"\0" * 2040, refused=("Format", "ISO image of a CD"))
    write("report.pdf", b"%PDF-1.4\n%%EOF\n", refused=("Format", "PDF document"))
    write("picture.gif", pillow(raw8, "GIF"), refused=("Format", "GIF picture"))


def short_bmp(values):
    """A BMP file with OS/2's header, which says nothing of resolution."""
    palette = b"".join(bytes([grey] * 3) for grey in range(256))
    data = values[::-1].tobytes()
    start = 14 + 12 + len(palette)
    return (b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
            + struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 8) + palette + data)


def twelve_bits(values):
    """A TIFF of 12 bits a sample, packed."""
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
    data = np.packbits(bits.ravel()).tobytes()
    entries = [(256, 4, WIDTH), (257, 4, HEIGHT), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
               (278, 4, HEIGHT), (279, 4, len(data))]
    folder = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        folder += struct.pack("<HHI", tag, kind, 1) + (struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + folder + b"\0\0\0\0"


def joined(bands, lines):
    """One JPEG-LS stream of bands that are coded apart, with restarts between them."""

    def parts(stream):
        at, head = 2, b""
        while stream[at + 1] != 0xDA:
            # Without CharLS's SPIFF header, which ends in a second start of image.
            if stream[at + 1] == 0xD8:
                at += 2
                continue
            length = 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
            if stream[at + 1] != 0xE8:
                head += stream[at : at + length]
            at += length
        length = 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
        return head, stream[at : at + length], stream[at + length : -2]

    head, scan, _ = parts(bands[0])
    start = head.index(b"\xff\xf7")
    head = head[: start + 5] + struct.pack(">H", HEIGHT) + head[start + 7 :]
    data = b""
    for number, band in enumerate(bands):
        data += (b"\xff" + bytes([0xD0 + (number - 1) % 8]) if number else b"") + parts(band)[2]
    interval = b"\xff\xdd" + struct.pack(">HH", 4, lines)
    return b"\xff\xd8" + head + interval + scan + data + b"\xff\xd9"


main()
