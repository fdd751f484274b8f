"""How an encoder-decoder writes: beam search as its checkpoint has it, and the language codes it expects.

Knows `model.generate` and language codes. Does not know threads, or how causal models write.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

from ..errors import BadInput
from .engine import Request
from .tokens import Tokens

CODES = {
    "ar": "arb_Arab", "bg": "bul_Cyrl", "bn": "ben_Beng", "ca": "cat_Latn", "cs": "ces_Latn", "da": "dan_Latn",
    "de": "deu_Latn", "el": "ell_Grek", "en": "eng_Latn", "es": "spa_Latn", "et": "est_Latn", "fa": "pes_Arab",
    "fi": "fin_Latn", "fr": "fra_Latn", "he": "heb_Hebr", "hi": "hin_Deva", "hr": "hrv_Latn", "hu": "hun_Latn",
    "id": "ind_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang", "lt": "lit_Latn", "lv": "lvs_Latn",
    "ms": "zsm_Latn", "nl": "nld_Latn", "no": "nob_Latn", "pl": "pol_Latn", "pt": "por_Latn", "ro": "ron_Latn",
    "ru": "rus_Cyrl", "sk": "slk_Latn", "sl": "slv_Latn", "sr": "srp_Cyrl", "sv": "swe_Latn", "sw": "swh_Latn",
    "ta": "tam_Taml", "th": "tha_Thai", "tr": "tur_Latn", "uk": "ukr_Cyrl", "ur": "urd_Arab", "vi": "vie_Latn",
    "zh": "zho_Hans", "zh-Hant": "zho_Hant",
}  # fmt: skip
"""BCP-47 to the codes of FLORES-200, which NLLB was trained with (arXiv:2207.04672, table 1)."""


def write(model: Any, tokens: Tokens, requests: Sequence[Request], cancel: threading.Event) -> list[list[int]]:
    """Token ids of the answers, in order, special tokens left out; all requests share sampling and languages.

    Temperature, top-p, top-k and seed have no meaning here: beam search takes the likeliest answer.
    Ends within one token once `cancel` is set. Raises BadInput for a language the model does not know.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Cancelled(StoppingCriteria):  # type: ignore[misc]
        """Stops every row once the event is set."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            del scores
            return torch.full((len(input_ids),), cancel.is_set(), device=input_ids.device)

    source, target = _codes(tokens, requests[0].languages)
    rows = [_source_ids(tokens, request, source) for request in requests]
    longest = max(map(len, rows))
    pad = tokens.tokenizer.pad_token_id
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        written = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=_settings(model, tokens, requests[0], target),
            stopping_criteria=StoppingCriteriaList([Cancelled()]),
        )
    special = set(tokens.tokenizer.all_special_ids)
    return [[token for token in row if token not in special] for row in written.tolist()]


def _settings(model: Any, tokens: Tokens, request: Request, target: str) -> Any:
    """What must not come from the checkpoint, whose own settings `generate` takes for all that is not set here."""
    from transformers import GenerationConfig

    forced = {"forced_bos_token_id": _target_id(tokens.tokenizer, target)} if target else {}
    return GenerationConfig(
        do_sample=False,
        min_length=0,
        num_beams=model.generation_config.num_beams or 1,
        repetition_penalty=request.sampling.repetition_penalty,
        max_new_tokens=min(request.sampling.max_new_tokens, tokens.model.context - 1),
        **forced,
    )


def _source_ids(tokens: Tokens, request: Request, source: str) -> list[int]:
    if source:
        return list(tokens.fitting(tuple(tokens.encode(str(request.prompt), special=True, source=source))))
    return list(tokens.checked(_marked(tokens.tokenizer, request)))


def _marked(tokenizer: Any, request: Request) -> Any:
    """The prompt, with the target's mark in front where a Marian model writes more than one language."""
    marks = getattr(tokenizer, "supported_language_codes", ())
    if not marks or not request.languages:
        return request.prompt
    tag = request.languages[1]
    names = (CODES.get(tag, tag), CODES.get(tag, tag).replace("zho", "cmn"), CODES.get(tag, tag)[:3], tag)
    mark = next((f">>{name}<< " for name in names if f">>{name}<<" in marks), "")
    return f"{mark}{request.prompt}"


def _codes(tokens: Tokens, languages: tuple[str, str] | None) -> tuple[str, str]:
    """The tokenizer's own names of two BCP-47 tags; empty where it knows no languages or none are given."""
    tokenizer = tokens.tokenizer
    if languages is None or not hasattr(tokenizer, "src_lang"):
        return "", ""
    known = getattr(tokenizer, "lang_code_to_id", None) or set(tokenizer.all_special_tokens)
    codes = [_code(tag, known) for tag in languages]
    for tag, code in zip(languages, codes, strict=True):
        if not code:
            raise BadInput("model_language", language=tag, model=tokens.model.name)
    return codes[0], codes[1]


def _code(tag: str, known: Collection[str]) -> str:
    short = tag.partition("-")[0]
    names = (tag, short, CODES.get(tag, tag), CODES.get(short, tag))
    return next((name for name in names if name in known), "")


def _target_id(tokenizer: Any, code: str) -> int:
    if hasattr(tokenizer, "get_lang_id"):
        return int(tokenizer.get_lang_id(code))
    return int(tokenizer.convert_tokens_to_ids(code))
