"""How an encoder-decoder writes: beam search as its checkpoint has it, in the languages it is told.

Knows `model.generate`. Does not know threads, how languages are coded, or how causal models write.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from .engine import Request
from .language_codes import TranslationArguments, translation_arguments
from .tokens import Tokens


def write(model: Any, tokens: Tokens, requests: Sequence[Request], cancel: threading.Event) -> list[list[int]]:
    """Token ids of the answers, in order, special tokens left out; all requests share sampling and languages.

    Temperature, top-p, top-k and seed have no meaning here: beam search takes the likeliest answer.
    Ends within one token once `cancel` is set. Raises TooLong, BadInput for a language the model does not know.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Cancelled(StoppingCriteria):  # type: ignore[misc]
        """Stops every row once the event is set."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            del scores
            return torch.full((len(input_ids),), cancel.is_set(), device=input_ids.device)

    told = _told(tokens, requests[0].languages)
    rows = [_source_ids(tokens, request, told) for request in requests]
    longest, pad = max(map(len, rows)), tokens.tokenizer.pad_token_id
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        written = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=_settings(model, tokens, requests, told),
            stopping_criteria=StoppingCriteriaList([Cancelled()]),
        )
    special = set(tokens.tokenizer.all_special_ids)
    plain = [[token for token in row if token not in special] for row in written.tolist()]
    return [row[: request.sampling.max_new_tokens] for row, request in zip(plain, requests, strict=True)]


def _told(tokens: Tokens, languages: tuple[str, str] | None) -> TranslationArguments:
    if languages is None:
        return {"src_lang": "", "prefix": "", "forced_bos_token_id": None}
    return translation_arguments(tokens.tokenizer, tokens.model.family, *languages, tokens.model.name)


def _source_ids(tokens: Tokens, request: Request, told: TranslationArguments) -> tuple[int, ...]:
    if not isinstance(request.prompt, str) or not (told["src_lang"] or told["prefix"]):
        return tokens.checked(request.prompt)
    text = told["prefix"] + request.prompt
    return tokens.fitting(tuple(tokens.encode(text, special=True, source=told["src_lang"])))


def _settings(model: Any, tokens: Tokens, requests: Sequence[Request], told: TranslationArguments) -> Any:
    """What must not come from the checkpoint, whose own settings `generate` takes for all that is not set here."""
    from transformers import GenerationConfig

    first = told["forced_bos_token_id"]
    wanted = max(request.sampling.max_new_tokens for request in requests)
    return GenerationConfig(
        do_sample=False,
        min_length=0,
        num_beams=model.generation_config.num_beams or 1,
        repetition_penalty=requests[0].sampling.repetition_penalty,
        max_new_tokens=min(wanted, tokens.model.context - 1),
        **({} if first is None else {"forced_bos_token_id": first}),
    )
