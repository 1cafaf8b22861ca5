"""A random BERT of a few hundred kilobytes, as a model that only makes vectors looks on disk."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIAL_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("a", "cat", "kitten", "sleeps", "naps", "on", "the", "sofa", "taxes", "rise", "in")
CONTEXT_TOKENS = 128


def make_tiny_bert(directory: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(SPECIAL_WORDS + WORDS),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.15,
    )
    BertModel(config).save_pretrained(directory)
    _tokenizer().save_pretrained(directory)


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(SPECIAL_WORDS + WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        model_max_length=CONTEXT_TOKENS,
    )
