"""BCP-47 language tags -> what a translation model wants to see: codes, a prefix, a first token.

Each family has names of its own for languages. Knows tokenizers' vocabularies; does not generate anything.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, TypedDict

from ..errors import BadInput

FLORES: Mapping[str, str] = {
    "af": "afr_Latn", "am": "amh_Ethi", "ar": "arb_Arab", "ast": "ast_Latn", "az": "azj_Latn", "ba": "bak_Cyrl",
    "be": "bel_Cyrl", "bg": "bul_Cyrl", "bn": "ben_Beng", "bo": "bod_Tibt", "bs": "bos_Latn", "ca": "cat_Latn",
    "ceb": "ceb_Latn", "cs": "ces_Latn", "cy": "cym_Latn", "da": "dan_Latn", "de": "deu_Latn", "el": "ell_Grek",
    "en": "eng_Latn", "eo": "epo_Latn", "es": "spa_Latn", "et": "est_Latn", "eu": "eus_Latn", "fa": "pes_Arab",
    "fi": "fin_Latn", "fil": "tgl_Latn", "fr": "fra_Latn", "ga": "gle_Latn", "gd": "gla_Latn", "gl": "glg_Latn",
    "gu": "guj_Gujr", "ha": "hau_Latn", "he": "heb_Hebr", "hi": "hin_Deva", "hr": "hrv_Latn", "ht": "hat_Latn",
    "hu": "hun_Latn", "hy": "hye_Armn", "id": "ind_Latn", "ig": "ibo_Latn", "is": "isl_Latn", "it": "ita_Latn",
    "ja": "jpn_Jpan", "jv": "jav_Latn", "ka": "kat_Geor", "kk": "kaz_Cyrl", "km": "khm_Khmr", "kn": "kan_Knda",
    "ko": "kor_Hang", "ku": "kmr_Latn", "ky": "kir_Cyrl", "lb": "ltz_Latn", "ln": "lin_Latn", "lo": "lao_Laoo",
    "lt": "lit_Latn", "lv": "lvs_Latn", "mg": "plt_Latn", "mk": "mkd_Cyrl", "ml": "mal_Mlym", "mn": "khk_Cyrl",
    "mr": "mar_Deva", "ms": "zsm_Latn", "mt": "mlt_Latn", "my": "mya_Mymr", "ne": "npi_Deva", "nl": "nld_Latn",
    "nn": "nno_Latn", "no": "nob_Latn", "oc": "oci_Latn", "or": "ory_Orya", "pa": "pan_Guru", "pl": "pol_Latn",
    "ps": "pbt_Arab", "pt": "por_Latn", "ro": "ron_Latn", "ru": "rus_Cyrl", "sd": "snd_Arab", "si": "sin_Sinh",
    "sk": "slk_Latn", "sl": "slv_Latn", "so": "som_Latn", "sq": "als_Latn", "sr": "srp_Cyrl", "su": "sun_Latn",
    "sv": "swe_Latn", "sw": "swh_Latn", "ta": "tam_Taml", "te": "tel_Telu", "tg": "tgk_Cyrl", "th": "tha_Thai",
    "tk": "tuk_Latn", "tl": "tgl_Latn", "tr": "tur_Latn", "tt": "tat_Cyrl", "ug": "uig_Arab", "uk": "ukr_Cyrl",
    "ur": "urd_Arab", "uz": "uzn_Latn", "vi": "vie_Latn", "wo": "wol_Latn", "xh": "xho_Latn", "yi": "ydd_Hebr",
    "yo": "yor_Latn", "yue": "yue_Hant", "zh": "zho_Hans", "zh-hant": "zho_Hant", "zu": "zul_Latn",
}  # fmt: skip
"""To the codes of FLORES-200, which NLLB was trained with (arXiv:2207.04672, table 1)."""

TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})
"""Scripts and regions that say that Chinese is written in traditional characters."""

ALIASES: Mapping[str, str] = {"nb": "no", "iw": "he", "in": "id", "ji": "yi", "cmn": "zh"}
"""Tags that mean the same as another one here (IANA language subtag registry: preferred values, macrolanguages)."""

T5_NAMES: Mapping[str, str] = {"en": "English", "de": "German", "fr": "French", "ro": "Romanian"}
"""The languages T5 was trained to translate, by the names in its prefixes (arXiv:1910.10683, appendix D)."""


class TranslationArguments(TypedDict):
    """What to tell a tokenizer and `generate`.

    `src_lang`: to be set on the tokenizer before it reads the text, "" for none. `prefix`: to be put before the
    text. `forced_bos_token_id`: the token the translation begins with, None to leave that to the model.
    """

    src_lang: str
    prefix: str
    forced_bos_token_id: int | None


def translation_arguments(
    tokenizer: Any, family: str, source: str, target: str, model: str = ""
) -> TranslationArguments:
    """How a model of a family is told to translate from `source` to `target` (BCP-47; `zh-CN`, `zh_CN` accepted).

    Raises BadInput for a language that the tokenizer does not know; `model` names the model in its sentence.
    """
    tellers: Mapping[str, Callable[[Any, str, str], TranslationArguments]] = {
        "m2m100": _m2m100,
        "nllb": _nllb,
        "marian": _marian,
        "t5": _t5,
        "mt5": _t5,
    }
    tell = tellers.get(family)
    if tell is None:
        raise BadInput("model_language", model=model or family, language=target)
    try:
        return tell(tokenizer, normal(source), normal(target))
    except KeyError as unknown:
        raise BadInput("model_language", model=model or family, language=unknown.args[0]) from None


def normal(tag: str) -> str:
    """The part of a tag that matters for translation: a language, and for Chinese its script if traditional."""
    language, *rest = tag.lower().replace("_", "-").split("-")
    language = ALIASES.get(language, language)
    return "zh-hant" if language == "zh" and TRADITIONAL & set(rest) else language


def _m2m100(tokenizer: Any, source: str, target: str) -> TranslationArguments:
    """Knows languages by their BCP-47 code, and one kind of Chinese."""
    known = tokenizer.lang_code_to_id
    own = {"fil": "tl", "nso": "ns"}
    codes = [_first(tag, (tag, own.get(tag, tag.split("-")[0])), known) for tag in (source, target)]
    return {"src_lang": codes[0], "prefix": "", "forced_bos_token_id": int(tokenizer.get_lang_id(codes[1]))}


def _nllb(tokenizer: Any, source: str, target: str) -> TranslationArguments:
    """Knows languages with their script; they are special tokens."""
    known = set(tokenizer.all_special_tokens)
    codes = [_first(tag, (FLORES.get(tag, tag),), known) for tag in (source, target)]
    first = int(tokenizer.convert_tokens_to_ids(codes[1]))
    return {"src_lang": codes[0], "prefix": "", "forced_bos_token_id": first}


def _marian(tokenizer: Any, source: str, target: str) -> TranslationArguments:
    """Translates one pair, or marks the target as >>deu<< where it writes several languages."""
    del source
    marks = set(tokenizer.supported_language_codes)
    prefix = f"{_first(target, _marks(target), marks)} " if marks else ""
    return {"src_lang": "", "prefix": prefix, "forced_bos_token_id": None}


def _marks(tag: str) -> Iterator[str]:
    """Names that Marian models have for a language, the most exact first: cmn_Hans, zho_Hans, zho, zh."""
    flores = FLORES.get(tag, tag)
    for name in (flores.replace("zho", "cmn"), flores, flores.split("_")[0], tag.split("-")[0]):
        yield f">>{name}<<"


def _t5(tokenizer: Any, source: str, target: str) -> TranslationArguments:
    """Reads the task from the text: `<2de> `, as MADLAD has it, or `translate English to German: `."""
    token = f"<2{target.split('-')[0]}>"
    if token in tokenizer.get_vocab():
        return {"src_lang": "", "prefix": f"{token} ", "forced_bos_token_id": None}
    prefix = f"translate {T5_NAMES[source]} to {T5_NAMES[target]}: "
    return {"src_lang": "", "prefix": prefix, "forced_bos_token_id": None}


def _first(tag: str, names: Iterable[str], known: Container[str]) -> str:
    for name in names:
        if name in known:
            return name
    raise KeyError(tag)
