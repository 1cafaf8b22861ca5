"""Makes the tiny model: `python -m dvllm_devnet.models.make_tiny DIRECTORY DTYPE SEED`."""

import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dvllm_devnet.models.tiny import TINY_CONTEXT_TOKENS

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BEGIN_ID, END_ID = 0, 2
VOCABULARY_SIZE = 512
# Wide enough for logits far apart: greedy choices then survive the noise of another batch size.
INITIALIZER_RANGE = 0.15

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# What the tokenizer learns its merges from. Any text would do; this one is part of the model, since
# other words would give other token ids.
TEXT = [
    "A client escrows a payment and publishes a prompt. The chain picks a node with a stake.",
    "The node fetches the prompt and the model, runs the model, and publishes the answer.",
    "When the node delivers, it is paid; when it does not, another node takes the job over.",
    "If no node answers in time, the client gets the whole payment back.",
    "What is the capital of France, and why is the sky blue? Tell me a short story about a fox.",
    "Once there was a worker who could count tokens, one after the other, all through the night.",
    "Each block holds the hash of the block before it, so nothing in the past can be changed.",
    "Das Wetter ist heute schön, und die Brücke über den Fluss ist wieder offen.",
    "Le café est fermé, mais la bibliothèque reste ouverte jusqu'à huit heures.",
    "名前は何ですか。今日はいい天気ですね。",
    "def add(left: int, right: int) -> int:\n    return left + right\n",
    '{"version": 1, "type": "chat", "messages": [{"role": "user", "content": "hello"}]}',
    "0 1 2 3 4 5 6 7 8 9 10 100 1000 3.14 2.72 50% 1,000,000",
]


def make_tokenizer() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=TINY_CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(n_vocabulary: int, dtype: torch.dtype, seed: int) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=n_vocabulary,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=TINY_CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=BEGIN_ID,
        eos_token_id=END_ID,
        pad_token_id=BEGIN_ID,
        initializer_range=INITIALIZER_RANGE,
    )
    return LlamaForCausalLM(config).to(dtype)


def main() -> None:
    target, dtype_name, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    tokenizer = make_tokenizer()
    model = make_model(len(tokenizer), getattr(torch, dtype_name), seed)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    main()
