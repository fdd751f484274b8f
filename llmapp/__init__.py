"""Open language models for people who do not program: chat, summarize, translate, sentiment, fine-tune."""

__version__ = "0.1.0"
