"""What the columns of a table hold beside its texts: labels that a person gave, and what these mean to a model.

Knows names and values of columns. Does not know models or the page.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from .dates import is_date
from .tables import FEW_VALUES, Sheet, called

LABEL_NAMES = (
    *("label", "class", "category", "sentiment", "target", "type", "tag", "rating", "topic", "intent"),
    *("标签", "类别", "情感", "分类", "类型", "评分", "主题", "意图"),
)
GROUP_NAMES = (
    *("group", "category", "product", "brand", "shop", "store", "source", "channel", "region", "country", "city"),
    *(
        "language",
        "gender",
        "department",
        "team",
        "产品",
        "品牌",
        "门店",
        "来源",
        "渠道",
        "地区",
        "国家",
        "城市",
        "部门",
    ),
)
MOST_GROUPS = 30
"""Different values of a column that rows are grouped by without being asked."""
TRUTH_NAMES = ("label", "sentiment", "标签", "情感")
"""A column of one of these names holds true labels, whatever they are."""

FEELINGS: Mapping[str, frozenset[str]] = {
    "positive": frozenset({"positive", "pos", "positiv", "positif", "positivo", "good", "正面", "积极", "好评"}),
    "negative": frozenset({"negative", "neg", "negativ", "négatif", "negativo", "bad", "负面", "消极", "差评"}),
    "neutral": frozenset({"neutral", "neu", "neutre", "neutro", "mixed", "中性", "中立", "中评"}),
}
"""How people write a feeling, folded."""

NUMBERS = (
    {"0": "negative", "1": "positive"},
    {"-1": "negative", "1": "positive"},
    {"-1": "negative", "0": "neutral", "1": "positive"},
)
"""Numbers that data sets usually write for feelings; a column has all of one row, or they mean something else."""


def repeats(sheet: Sheet, i: int) -> bool:
    """True for a column whose values stand again and again, as labels do."""
    values = {row[i] for row in sheet.rows if row[i]}
    return 2 <= len(values) <= min(FEW_VALUES, max(2, len(sheet.rows) // 3))


def guess_truth(sheet: Sheet, text: str, labels: Sequence[str] = tuple(FEELINGS)) -> str:
    """The column that looks most like true labels: most of its cells mean one of `labels`. Empty where none does."""

    def fits(i: int) -> tuple[float, int]:
        name, cells = sheet.columns[i], [row[i] for row in sheet.rows if row[i].strip()]
        means = guess_means(tuple(dict.fromkeys(cells)), labels)
        share = sum(bool(means[cell]) for cell in cells) / max(1, len(cells))
        return max(share, 0.5 * (name.casefold() in TRUTH_NAMES)), called(name, LABEL_NAMES)

    others = [i for i, name in enumerate(sheet.columns) if name != text and repeats(sheet, i)]
    best = max(others, key=fits, default=None)
    return sheet.columns[best] if best is not None and fits(best)[0] >= 0.5 else ""


def guess_date(sheet: Sheet, taken: Sequence[str]) -> str:
    """The first column of dates that is not `taken`. Empty where there is none."""
    others = (name for name in sheet.columns if name not in taken)
    return next((name for name in others if is_date(sheet.column(name), name)), "")


def guess_group(sheet: Sheet, taken: Sequence[str]) -> str:
    """A column of few values to compare by, one with a usual name before others. Empty where there is none."""
    others = [i for i, name in enumerate(sheet.columns) if name not in taken and repeats(sheet, i)]
    few = [i for i in others if len({row[i] for row in sheet.rows}) <= MOST_GROUPS]
    best = max(few, key=lambda i: (called(sheet.columns[i], GROUP_NAMES), -i), default=None)
    return "" if best is None else sheet.columns[best]


def guess_means(values: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Which of `labels` each value of a column means, as far as that can be told; empty where it can not."""
    folded = {_fold(label): label for label in labels}
    feelings = {feeling: label for label in reversed(labels) if (feeling := _feeling(_fold(label)))}
    numbers = next((row for row in NUMBERS if row.keys() == {_fold(value) for value in values}), {})

    def meaning(value: str) -> str:
        plain = _fold(value)
        return folded.get(plain) or feelings.get(_feeling(plain) or numbers.get(plain, ""), "")

    return {value: meaning(value) for value in values}


def feeling(label: str) -> str:
    """`positive`, `negative` or `neutral` where a label is a word for one of them, else empty."""
    return _feeling(_fold(label))


def _feeling(folded: str) -> str:
    return next((feeling for feeling, words in FEELINGS.items() if folded in words), "")


def _fold(value: str) -> str:
    plain = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return plain.removesuffix(".0").removeprefix("+")
