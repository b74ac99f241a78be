"""A translator that runs in another runtime, with the `generate` of transformers: greedy, beams, all its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from tinybert_hf.model.modeling_tinybert_seq2seq import CACHE_NAME, takes_old_cache_name


class ExportedTranslator(PreTrainedModel, GenerationMixin):
    """Two graphs, one that reads and one that writes; on the processor, and for inference only.

    Attributes:
        config: of the model that was exported.
    """

    main_input_name = "input_ids"
    _supports_sdpa = True  # transformers asks before it makes a model; attention is the graphs' own
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, config: Any, encoder: Any, decoder: Any, folder: Path) -> None:
        """Made by `open_exported`."""
        super().__init__(config)
        self.name_or_path = str(folder)
        if (folder / "generation_config.json").is_file():
            self.generation_config = GenerationConfig.from_pretrained(folder)
        self._encoder, self._graph = Reader(encoder), decoder
        past = {name: shape for name, shape in decoder.shapes.items() if name.startswith("past_")}
        self._past = {name: (shape[1], shape[3]) for name, shape in past.items()}
        self._depth = len(past) // 2
        self._vocabulary = config.vocab_size
        self.eval()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the half that reads."""
        return self._encoder

    def get_input_embeddings(self) -> Any:
        """Return something as large as the source's embeddings; the graph keeps them."""
        return _Table(self._vocabulary)

    def get_output_embeddings(self) -> None:
        """Return nothing: the graph keeps the output layer."""
        return None

    @takes_old_cache_name
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[Tensor, ...] | None = None,
        past_key_values: Any = None,
        cache: Any = None,
        use_cache: bool | None = None,
        **further: Any,
    ) -> Seq2SeqLMOutput:
        """Score the target vocabulary at every place of the target.

        Args:
            input_ids: source ids (B, L).
            attention_mask: 1 for real source tokens, 0 for padding (B, L).
            decoder_input_ids: target ids (B, T), behind those of the cache.
            encoder_outputs: what `get_encoder()` gave, in place of the source.
            past_key_values: keys and values of the target so far, as transformers before 5.24 names them.
            cache: the same, as later versions name them.
            use_cache: whether to return the keys and values.
            **further: passed over.

        Returns:
            Logits (B, T, V).
        """
        if encoder_outputs is None:
            encoder_outputs = self._encoder(input_ids, attention_mask)
        memory = encoder_outputs[0]
        if decoder_input_ids is None:
            raise ValueError("decoder_input_ids are missing: what the decoder reads.")
        mask = attention_mask if attention_mask is not None else memory.new_ones(memory.shape[:2])
        kept = past_key_values if cache is None else cache
        if kept is None:
            kept = EncoderDecoderCache(DynamicCache(), DynamicCache())
        layers = kept.self_attention_cache
        feed = {"decoder_input_ids": _ids(decoder_input_ids), "attention_mask": _ids(mask), "memory": memory.numpy()}
        for name, (heads, width) in self._past.items():
            feed[name] = self._kept(layers, name, memory.shape[0], heads, width)
        found = {name: torch.from_numpy(array) for name, array in self._graph.run(feed).items()}
        for layer in range(self._depth):
            layers.update(found[f"key_{layer}"], found[f"value_{layer}"], layer)
        return Seq2SeqLMOutput(
            logits=found["logits"],
            encoder_last_hidden_state=memory,
            **({} if use_cache is False else {CACHE_NAME: kept}),
        )

    def _kept(self, layers: Any, name: str, rows: int, heads: int, width: int) -> Any:
        _, kind, number = name.split("_")
        if layers.get_seq_length(int(number)) == 0:
            return torch.zeros(rows, heads, 0, width).numpy()
        layer = layers.layers[int(number)]
        return (layer.keys if kind == "key" else layer.values).contiguous().numpy()

    def to(self, *args: Any, **kwargs: Any) -> ExportedTranslator:
        """Stay where it is: another device is another export's."""
        return self


class Reader(nn.Module):
    """The half that reads. Its output is no state, but what the decoder's layers see of the source."""

    main_input_name = "input_ids"

    def __init__(self, graph: Any) -> None:
        """Wrap a graph."""
        super().__init__()
        self._graph = graph

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **further: Any) -> BaseModelOutput:
        """Read the source: ids and mask (B, L)."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found = self._graph.run({"input_ids": _ids(input_ids), "attention_mask": _ids(mask)})
        return BaseModelOutput(last_hidden_state=torch.from_numpy(found["memory"]))


class _Table:
    """What `generate` and the translation of texts ask of an embedding: how many rows it has."""

    def __init__(self, rows: int) -> None:
        self.weight = torch.empty(rows, 0)


def _ids(values: Tensor) -> Any:
    return values.detach().to("cpu", torch.int64).contiguous().numpy()
