"""Bytes of a text file to text: which encoding they are in, decided only where decoding loses nothing.

Order: byte order mark, UTF-8, UTF-16 without a mark, GB18030, Western (cp1252), then what charset-normalizer
thinks. Its guesses are good for pages and poor for lines, so clear cases are settled before it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from charset_normalizer import from_bytes

from ..errors import BadInput

_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_OTHERS = ["big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "cp1250", "cp1252", "iso8859_7", "iso8859_9"]
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
SAMPLE = 200_000
"""Bytes looked at for a guess."""


@dataclass(frozen=True)
class Decoded:
    """Text, its encoding by name, and how many characters were broken and are U+FFFD now.

    `codec` is Python's name of it, `mark` the byte order mark: `mark + text.encode(codec)` is the file again.
    """

    text: str
    encoding: str
    broken: int = 0
    codec: str = "utf-8"
    mark: bytes = b""


def decoded(data: bytes, name: str, declared: str = "") -> Decoded:
    """Bytes of the file `name` as text. Raises BadInput for binary files and encodings not recognised.

    `declared` is the codec that the file itself names, if it does: a mark goes before it, any guess after it.
    """
    sample = data[:SAMPLE]
    mark = next((mark for mark, _, _ in _MARKS if data.startswith(mark)), b"")
    settled = [(codec, said) for known, codec, said in _MARKS if known == mark]
    controls = len(sample) - len(sample.translate(None, _CONTROL))
    if not settled and (0 in data or controls > len(sample) / 100):
        codec = _utf16_half(sample)
        if not codec:
            raise BadInput("document_binary", file=name)
        settled = [(codec, "UTF-16")]
    body = data[len(mark) :]
    likely = [(declared, declared)] if declared else []
    for codec, said in settled or [*likely, *_likely(sample)]:
        try:
            return Decoded(body.decode(codec), said, codec=codec, mark=mark)
        except UnicodeDecodeError:
            if codec == "utf-8" and (mended := _mended(body, mark)):
                return mended
    raise BadInput("document_encoding", file=name)


def _mended(data: bytes, mark: bytes) -> Decoded | None:
    """UTF-8 with a few broken characters, as where a file was cut; another encoding breaks nearly all."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return Decoded(text, "UTF-8", broken, mark=mark) if 50 * broken <= foreign else None


def _utf16_half(sample: bytes) -> str:
    """UTF-16 without a mark: half of the bytes of Latin text, and of spaces and line ends anywhere, are 0."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(1, len(sample) // 200) or min(even, odd) > max(even, odd) // 20:
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


def _likely(sample: bytes) -> Iterator[tuple[str, str]]:
    """Encodings to try, with their names, the likeliest first."""
    yield "utf-8", "UTF-8"
    if _looks_chinese(sample):
        yield "gb18030", "GB18030"
    letters = len(re.findall(rb"[A-Za-z]", sample))
    high = len(re.findall(rb"[\x80-\xff]", sample))
    if high <= letters:
        yield "cp1252", "cp1252"
    best = from_bytes(sample, cp_isolation=_OTHERS).best()
    if best:
        yield best.encoding, best.encoding.replace("_", "-")


def _looks_chinese(sample: bytes) -> bool:
    """Most pairs are characters of GB 2312's first level (rows 16 to 55, by pinyin) or its punctuation.

    Cyrillic and Western bytes form such pairs rarely. Korean fills rows 16 to 40 only, while of Chinese
    characters in use half lie beyond: a dozen without one of those is not Chinese.
    """
    try:
        codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return False
    pairs = [(pair[0], pair[1]) for pair in re.findall(rb"[\x80-\xff][\x00-\xff]", sample, re.DOTALL)]
    first_level = [high for high, low in pairs if 0xB0 <= high <= 0xD7 and low >= 0xA1]
    marks = sum(high in (0xA1, 0xA3) and low >= 0xA1 for high, low in pairs)
    if not first_level or len(first_level) + marks < 0.8 * len(pairs):
        return False
    return len(first_level) < 12 or max(first_level) > 0xC8
