"""Tiny real models: two layers, 64 wide, random weights, a tokenizer trained on the spot; fast.

`tiny_causal`, `tiny_seq2seq`, `tiny_classifier` and `tiny_encoder` write a folder as a hub would serve it
(config, safetensors, tokenizer, generation config) and return it; `catalog_entry` describes it as a catalog
does. The same arguments write the same bytes. Nothing of llmapp's backend is used here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmapp.catalog import FolderSource, Model

CAUSAL = ("llama", "qwen2", "qwen3", "gemma3", "gpt2")
HUB_CAUSAL = ("granite", "hunyuan")  # in the catalog as safetensors only
SEQ2SEQ = ("marian", "m2m100", "nllb", "t5", "mt5", "bart", "pegasus")
CLASSIFIERS = ("bert", "distilbert", "roberta", "xlm-roberta")
ENCODERS = CLASSIFIERS

CORPUS = (
    "The quick brown fox jumps over the lazy dog.",
    "What is the capital of France? The capital of France is Paris.",
    "I love this film, it is wonderful and the actors are great.",
    "I hate this film, it is terrible and the story is a waste of time.",
    "A person clones the repository, types one command and a page opens.",
    "She sells sea shells by the sea shore; he counts 1234567890 of them!",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "Ich möchte wissen, wie das Wetter morgen in Berlin wird.",
    "La vie est belle et le chat dort sur la chaise près de la fenêtre.",
    "敏捷的棕色狐狸跳过懒狗。",
    "我喜欢这部电影，演员非常好。",
    "法国的首都是巴黎。今天天气很好，我们去公园散步吧。",
)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_TURNS = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else 'user' }}\n"
    "{{ message['content'] }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LONGEST = 512
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": LONGEST,
    "initializer_range": 0.1,
}
HALVES: dict[str, Any] = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "max_position_embeddings": LONGEST,
    "init_std": 0.1,
}


def tiny_causal(folder: Path, family: str = "llama", chat: bool = True, seed: int = 0) -> Path:
    """A causal language model of `CAUSAL` or `HUB_CAUSAL`; `chat=False` has no chat template, like base models."""
    import transformers

    tokenizer, end = _gemma_tokenizer() if family == "gemma3" else _bytes_tokenizer(family)
    if chat:
        tokenizer.chat_template = GEMMA_TURNS if family == "gemma3" else CHATML
    ids = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.convert_tokens_to_ids(end),
        "pad_token_id": tokenizer.pad_token_id,
    }
    grouped = {**SIZES, **ids, "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True}
    configs = {
        "llama": lambda: transformers.LlamaConfig(**grouped),
        "qwen2": lambda: transformers.Qwen2Config(**grouped),
        "qwen3": lambda: transformers.Qwen3Config(**grouped),
        "gemma3": lambda: transformers.Gemma3TextConfig(**grouped, sliding_window=64),
        "granite": lambda: transformers.GraniteConfig(**grouped),
        "hunyuan": lambda: transformers.HunYuanDenseV1Config(**grouped),
        "gpt2": lambda: transformers.GPT2Config(
            n_embd=64, n_layer=2, n_head=4, n_positions=LONGEST, initializer_range=0.1, **ids
        ),
    }
    return _save(folder, transformers.AutoModelForCausalLM, configs[family](), tokenizer, seed)


def tiny_seq2seq(folder: Path, family: str = "t5", seed: int = 0) -> Path:
    """An encoder-decoder of one of `SEQ2SEQ`. Marian knows one pair (en to de)."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _seq2seq_tokenizer(folder, family)
    ids = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    fairseq = {**HALVES, **ids, "bos_token_id": 0, "decoder_start_token_id": tokenizer.eos_token_id}
    padded = {**HALVES, **ids, "decoder_start_token_id": tokenizer.pad_token_id}
    t5 = {
        "d_model": 64,
        "d_kv": 16,
        "d_ff": 128,
        "num_layers": 2,
        "num_heads": 4,
        "initializer_factor": 4.0,
        "decoder_start_token_id": tokenizer.pad_token_id,
        **ids,
    }
    configs = {
        "marian": lambda: transformers.MarianConfig(
            **padded, bos_token_id=0, forced_eos_token_id=0, bad_words_ids=[[tokenizer.pad_token_id]]
        ),
        "m2m100": lambda: transformers.M2M100Config(**{**fairseq, "vocab_size": len(tokenizer) + 8}),
        "nllb": lambda: transformers.M2M100Config(**fairseq),
        "t5": lambda: transformers.T5Config(**t5),
        "mt5": lambda: transformers.MT5Config(**t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
        "bart": lambda: transformers.BartConfig(**fairseq, forced_eos_token_id=tokenizer.eos_token_id),
        "pegasus": lambda: transformers.PegasusConfig(**padded),
    }
    return _save(folder, transformers.AutoModelForSeq2SeqLM, configs[family](), tokenizer, seed)


def tiny_classifier(
    folder: Path, family: str = "bert", labels: Sequence[str] = ("negative", "positive"), seed: int = 0
) -> Path:
    """An encoder of one of `CLASSIFIERS` with a head for `labels`."""
    import transformers

    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    config, tokenizer = _encoder_parts(folder, family, names)
    return _save(folder, transformers.AutoModelForSequenceClassification, config, tokenizer, seed)


def tiny_encoder(folder: Path, family: str = "bert", seed: int = 0) -> Path:
    """A plain encoder of one of `ENCODERS`, without a head, as sentence-embedding models are."""
    import transformers

    config, tokenizer = _encoder_parts(folder, family, {})
    return _save(folder, transformers.AutoModel, config, tokenizer, seed)


def tiny_adapter(
    folder: Path,
    base: Path,
    kind: str = "causal",
    targets: Sequence[str] = ("q_proj", "v_proj"),
    labels: Sequence[str] = (),
    seed: int = 0,
    **card: Any,
) -> Path:
    """A LoRA adapter that changes what its base answers, saved as peft saves it, with the catalog's card.

    `labels` makes it a classification adapter whose head the base need not have; `card` overrides its fields.
    """
    import peft
    import torch
    import transformers

    autos = {"causal": "AutoModelForCausalLM", "seq2seq": "AutoModelForSeq2SeqLM", "encoder": "AutoModel"}
    auto = getattr(transformers, "AutoModelForSequenceClassification" if labels else autos[kind])
    options = {"num_labels": len(labels), "ignore_mismatched_sizes": True} if labels else {}
    task = "SEQ_CLS" if labels else {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM"}.get(kind)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_pretrained(base, **options)
        heads = [name for name, part in model.named_children() if list(part.parameters())]
        heads = [name for name in heads if name != model.base_model_prefix]
        config = peft.LoraConfig(
            r=4,
            lora_alpha=8,
            target_modules=list(targets),
            modules_to_save=heads if labels else None,
            task_type=task,
            init_lora_weights=False,
        )
        peft.get_peft_model(model, config).save_pretrained(folder)
    fields = {"id": folder.name, "name": folder.name, "base": base.name, "task": "sentiment" if labels else "chat"}
    entry = {**fields, "owner": "", "labels": list(labels), **card}
    (folder / "card.json").write_text(json.dumps(entry), encoding="utf-8")
    return folder


def catalog_entry(folder: Path, kind: str, family: str, **changes: Any) -> Model:
    """The catalog's description of a tiny model folder; `changes` override fields."""
    tasks = {"causal": "chat", "seq2seq": "translate", "classifier": "sentiment", "encoder": "finetune"}
    fields: dict[str, Any] = {
        "id": folder.name,
        "name": folder.name,
        "kind": kind,
        "family": family,
        "tasks": (tasks[kind],),
        "parameters": 150_000,
        "context": LONGEST,
        "languages": ("en", "de", "zh"),
        "licence": "Apache-2.0",
        "licence_url": "https://www.apache.org/licenses/LICENSE-2.0",
        "sources": (FolderSource(folder, "fp32"),),
        "memory_mb": {"fp32": 1, "4-bit": 1},
        "note": {"en": "A tiny model for tests.", "zh": "测试用的小模型。"},
        "chat": kind == "causal",
    }
    return Model(**{**fields, **changes})


def _save(folder: Path, auto: Any, config: Any, tokenizer: Any, seed: int) -> Path:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _trained(model: Any, trainer: Any, pre_tokenizer: Any, normalizer: Any = None) -> dict[str, Any]:
    """Train with the tokenizers library; the model section of its JSON: vocabulary and merges."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    section: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    if "merges" in section:
        section["merges"] = [tuple(merge) for merge in section["merges"]]
    return section


def _byte_pairs(specials: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    section = _trained(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))
    return section["vocab"], section["merges"]


def _bytes_tokenizer(family: str) -> tuple[Any, str]:
    """GPT-2's kind of byte-level BPE, as SmolLM2 and Qwen have it, and the token that ends a turn."""
    import transformers

    vocab, merges = _byte_pairs(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    kind = transformers.Qwen2Tokenizer if family.startswith("qwen") else transformers.GPT2Tokenizer
    tokenizer = kind(
        vocab=vocab,
        merges=merges,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>" if family == "gpt2" else "<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        model_max_length=LONGEST,
    )
    return tokenizer, tokenizer.eos_token


def _gemma_tokenizer() -> tuple[Any, str]:
    """SentencePiece-style BPE with byte fallback, and the token that ends a turn."""
    import transformers
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=specials + [f"<0x{byte:02X}>" for byte in range(256)],
        show_progress=False,
    )
    split = pre_tokenizers.Split("▁", "merged_with_next")
    section = _trained(models.BPE(byte_fallback=True), trainer, split, normalizers.Replace(" ", "▁"))
    tokenizer = transformers.GemmaTokenizer(
        vocab=section["vocab"],
        merges=section["merges"],
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
        model_max_length=LONGEST,
    )
    return tokenizer, "<end_of_turn>"


def _sentencepiece(path: Path, kind: str = "unigram", **options: Any) -> Path:
    """A SentencePiece model file trained on the corpus."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=written,
        model_type=kind,
        vocab_size=300,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        **options,
    )
    path.write_bytes(written.getvalue())
    return path


def _pieces(path: Path) -> list[str]:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(i) for i in range(model.get_piece_size()) if not model.is_control(i)]


def _vocabulary(path: Path, first: Sequence[str], last: Sequence[str] = ()) -> dict[str, int]:
    pieces = [piece for piece in _pieces(path) if piece not in first and piece not in last]
    return {piece: i for i, piece in enumerate([*first, *pieces, *last])}


def _seq2seq_tokenizer(folder: Path, family: str) -> Any:
    import transformers

    limit = {"model_max_length": LONGEST}
    if family == "marian":
        source = _sentencepiece(folder / "source.spm")
        target = _sentencepiece(folder / "target.spm")
        (folder / "vocab.json").write_text(json.dumps(_vocabulary(source, ("</s>", "<unk>"), ("<pad>",))))
        return transformers.MarianTokenizer(
            str(source), str(target), str(folder / "vocab.json"), source_lang="en", target_lang="de", **limit
        )
    if family == "m2m100":
        spm = _sentencepiece(folder / "sentencepiece.bpe.model", "bpe")
        (folder / "vocab.json").write_text(json.dumps(_vocabulary(spm, ("<s>", "<pad>", "</s>", "<unk>"))))
        return transformers.M2M100Tokenizer(
            str(folder / "vocab.json"), str(spm), additional_special_tokens=_m2m100_codes(), **limit
        )
    if family == "bart":
        return _roberta_tokenizer()
    if family == "nllb":
        _sentencepiece(folder / "sentencepiece.bpe.model", "bpe")
        codes = transformers.models.nllb.tokenization_nllb.FAIRSEQ_LANGUAGE_CODES
        return transformers.NllbTokenizer.from_pretrained(folder, extra_special_tokens=list(codes), **limit)
    _sentencepiece(folder / "spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    kind = transformers.PegasusTokenizer if family == "pegasus" else transformers.T5Tokenizer
    return kind.from_pretrained(folder, **limit)


def _roberta_tokenizer() -> Any:
    import transformers

    vocab, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    return transformers.RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=LONGEST - 2)


def _m2m100_codes() -> list[str]:
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

    return [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES["m2m100"]]


def _bert_tokenizer() -> Any:
    """WordPiece over the corpus's letters and words; the library's trainer gives another one each run."""
    import transformers
    from tokenizers import normalizers, pre_tokenizers

    plain = normalizers.BertNormalizer().normalize_str("\n".join(CORPUS))
    words = {word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(plain)}
    letters = {letter for word in words for letter in word}
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*sorted(letters), *(f"##{letter}" for letter in sorted(letters)), *sorted(words - letters)]
    vocab = {piece: i for i, piece in enumerate(specials + pieces)}
    return transformers.BertTokenizer(vocab=vocab, model_max_length=LONGEST)


def _encoder_parts(folder: Path, family: str, names: dict[str, Any]) -> tuple[Any, Any]:
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    if family == "xlm-roberta":
        _sentencepiece(folder / "sentencepiece.bpe.model")
        tokenizer = transformers.XLMRobertaTokenizer.from_pretrained(folder, model_max_length=LONGEST - 2)
    else:
        tokenizer = _roberta_tokenizer() if family == "roberta" else _bert_tokenizer()
    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **names}
    if family == "distilbert":
        sizes = {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128, "initializer_range": 0.1}
        return transformers.DistilBertConfig(max_position_embeddings=LONGEST, **sizes, **ids), tokenizer
    kinds = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "xlm-roberta": transformers.XLMRobertaConfig,
    }
    return kinds[family](**SIZES, **ids, type_vocab_size=2 if family == "bert" else 1), tokenizer
