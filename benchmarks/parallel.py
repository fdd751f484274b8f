"""Texts with translations by people, rebuilt from files of Debian 12 that are checked against a sha256."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

from .data import CACHE, DEBIAN, Package, fetched

MIRROR = "http://deb.debian.org/debian/"
_TRANSLATED = DEBIAN.url.removesuffix("en.xz")
_GNOME = "gnome-user-docs_43.0-2_all.deb"
GNOME = Package(
    "gnome-user-docs",
    _GNOME,
    "0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f",
    f"{MIRROR}pool/main/g/gnome-user-docs/{_GNOME}",
)
DESCRIPTIONS: Mapping[str, Package] = {
    language: Package(
        "debian-descriptions",
        f"Translation-{language}.bz2",
        sha256,
        f"{DEBIAN.url.removesuffix('en.xz')}{language}.bz2",
    )
    for language, sha256 in (
        ("de", "2cc65c7f8b85d8a2964c3735bbf86be79bfd3342ef8908150e268137fe5dac7f"),
        ("es", "b093780b45057500d70ffaa61aaf2ec4ccb7cca2f7af7a678e79e0a5f49ab81f"),
        ("fr", "3248f0206d704300067e35cc2d4380dc1f1b418b5b9f446c3d42424b98d0abad"),
        ("zh_CN", "00b02957001a5061887e3af4a6800e2ac6739e6a04b55e54db90cf2c5c2539e3"),
    )
}
LANGUAGES = tuple(DESCRIPTIONS)
_TEXTS = ("title", "desc", "p")
_ENTRY = re.compile(r"Package: .*\nDescription-md5: (\w+)\nDescription-[\w-]+: (.*)\n((?: .*\n)*)")

Pair = tuple[str, str]


def gnome_help(language: str, cache: Path = CACHE) -> list[Pair]:
    """Titles and paragraphs of the GNOME help, English and translated (CC-BY-SA-3.0); no pair twice.

    Only of pages that are built alike in both languages, so that what stands together belongs together.
    """
    pages = _pages(fetched(GNOME, cache), ("C", language))
    both = [name for (tongue, name) in pages if tongue == "C" and (language, name) in pages]
    pairs = (pair for name in both for pair in _aligned(pages["C", name], pages[language, name]))
    return list(dict.fromkeys(pairs))


def debian_descriptions(language: str, cache: Path = CACHE) -> list[Pair]:
    """Paragraphs of package descriptions, English and translated, where both have as many; no pair twice."""
    english = _described(lzma.decompress(fetched(DEBIAN, cache)))
    translated = _described(bz2.decompress(fetched(DESCRIPTIONS[language], cache)))
    shared = [(english[key], translated[key]) for key in translated if key in english]
    pairs = (pair for one, other in shared if len(one) == len(other) for pair in zip(one, other, strict=True))
    return list(dict.fromkeys((a, b) for a, b in pairs if a != b and b))


def _pages(deb: bytes, languages: tuple[str, ...]) -> dict[Pair, ET.Element]:
    """Help pages by (language, name). A .deb is an `ar` archive: headers of 60 bytes, the size at byte 48."""
    place = 8
    while not deb[place:].startswith(b"data.tar"):
        place += 60 + int(deb[place + 48 : place + 58])
        place += place % 2
    archive = io.BytesIO(deb[place + 60 : place + 60 + int(deb[place + 48 : place + 58])])
    found = {}
    with tarfile.open(fileobj=archive) as opened:
        for member in opened:
            parts = member.name.split("/")
            if member.isfile() and parts[-1].endswith(".page") and parts[-2] == "gnome-help" and parts[-3] in languages:
                file = opened.extractfile(member)
                assert file
                found[parts[-3], parts[-1]] = ET.fromstring(file.read())
    return found


def _aligned(one: ET.Element, other: ET.Element) -> Iterator[Pair]:
    sides = [[each for each in page.iter() if _kind(each) in _TEXTS] for page in (one, other)]
    if [_kind(each) for each in sides[0]] != [_kind(each) for each in sides[1]]:
        return
    for pair in zip(*sides, strict=True):
        before, after = (" ".join("".join(each.itertext()).split()) for each in pair)
        if before != after and before and after:
            yield before, after


def _kind(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _described(text: bytes) -> dict[str, list[str]]:
    """Paragraphs of each description, the short one first, by its hash."""
    found = {}
    for key, short, long in _ENTRY.findall(text.decode("utf-8")):
        paragraphs = re.split(r"^ \.$", long, flags=re.MULTILINE)
        found[key] = [short, *(" ".join(each.split()) for each in paragraphs)]
    return found
