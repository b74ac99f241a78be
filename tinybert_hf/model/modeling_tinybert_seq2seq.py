"""TinyBERT that translates: a TinyBERT encoder, and a decoder of BERT's own layers with cross-attention.

Encoder and decoder have depth, width and heads of their own. The encoder is named as the trunk of the other heads
(`tinybert`), so `AutoModel` opens it alone from a translator's checkpoint.

This file travels with every saved checkpoint, so it imports the standard library, torch and transformers only.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.models.bert.modeling_bert import BertModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.deprecation import deprecate_kwarg
from transformers.utils.generic import can_return_tuple

from .configuration_tinybert import TinyBertConfig
from .modeling_tinybert import TinyBertModel, TinyBertPreTrainedModel

if TYPE_CHECKING:  # all files of the family, as in configuration_tinybert.py
    from .manifest_tinybert import note_model  # noqa: F401

# transformers 5.24 renamed the keys and values of the target so far, in arguments and outputs.
CACHE_NAME = "cache" if "cache" in inspect.signature(BertModel.forward).parameters else "past_key_values"


def takes_old_cache_name(forward: Callable[..., Any]) -> Callable[..., Any]:
    """As in transformers' own models: the old name of the cache still works, and says that it will go."""
    return (
        deprecate_kwarg("past_key_values", "5.40.0", new_name=CACHE_NAME)(forward)
        if CACHE_NAME == "cache"
        else forward
    )


class TinyBertForSeq2Seq(TinyBertPreTrainedModel, GenerationMixin):
    """TinyBERT that writes a text after reading one: translation, in the first place.

    Args:
        config: The shape of both halves: `is_encoder_decoder` with `num_decoder_layers`.

    Raises:
        ValueError: The configuration has no decoder.
    """

    # The loss is a mean over target tokens, of the whole accumulated batch where the Trainer gives their number.
    accepts_loss_kwargs = True

    def __init__(self, config: TinyBertConfig) -> None:
        if not config.is_encoder_decoder or config.num_decoder_layers is None:
            raise ValueError(
                "The configuration has no decoder. Set is_encoder_decoder=True and num_decoder_layers, or take a "
                'preset such as TinyBertConfig.from_preset("seq2seq-6-2-256d").'
            )
        super().__init__(config)
        if config.decoder_start_token_id is None:
            self.generation_config.decoder_start_token_id = config.pad_token_id
        self.generation_config.max_length = config.max_position_embeddings
        decoder_config = config.decoder_config()
        self.tinybert = TinyBertModel(_encoder_config(config), add_pooling_layer=False)
        self.decoder = TinyBertModel(decoder_config, add_pooling_layer=False)
        same_width = config.hidden_size == decoder_config.hidden_size
        self.bridge = nn.Identity() if same_width else nn.Linear(config.hidden_size, decoder_config.hidden_size)
        self.lm_head = nn.Linear(decoder_config.hidden_size, decoder_config.vocab_size, bias=False)
        self._tied_weights_keys = _tied_weights(config.tied_embeddings)
        self.post_init()

    def get_encoder(self, modality: str | None = None) -> TinyBertModel:
        """Return the half that reads."""
        return self.tinybert

    def get_decoder(self) -> TinyBertModel:
        """Return the half that writes, without the output layer."""
        return self.decoder

    def get_output_embeddings(self) -> nn.Linear:
        """Return the layer that gives the scores of the target vocabulary."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the layer that gives the scores of the target vocabulary."""
        self.lm_head = new_embeddings

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """As in transformers, for a vocabulary that both languages share.

        Raises:
            ValueError: Source and target have embeddings of their own.
        """
        if self.config.tied_embeddings != "all":
            raise ValueError(
                f'tie_embeddings is "{self.config.tied_embeddings}": source and target have embeddings of their own, '
                "and it is not clear which of them to resize. Make a model with the new sizes."
            )
        resized = super().resize_token_embeddings(*args, **kwargs)
        self.decoder.embeddings.word_embeddings.num_embeddings = resized.num_embeddings
        self.decoder.config.vocab_size = resized.num_embeddings
        if self.config.decoder_vocab_size is not None:
            self.config.decoder_vocab_size = resized.num_embeddings
        return resized

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """What the decoder reads while it learns to write the labels: the same tokens, one place to the right.

        Args:
            labels: Target ids (B, T); -100 where there is none.

        Returns:
            Ids (B, T), the first of each row the start token, padding where the labels have none.
        """
        start, padding = self.config.decoder_start_token_id, self.config.pad_token_id
        shifted = labels.new_full(labels.shape, padding if start is None else start)
        shifted[:, 1:] = labels[:, :-1]
        return shifted.masked_fill(shifted == -100, padding)

    @can_return_tuple
    @takes_old_cache_name
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[Tensor, ...] | None = None,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> Seq2SeqLMOutput:
        """Score the target vocabulary at every place of the target.

        Args:
            input_ids: Source ids (B, L).
            attention_mask: 1 for real source tokens, 0 for padding (B, L).
            decoder_input_ids: Target ids so far (B, T); made from `labels` where they are not given.
            decoder_attention_mask: 1 for real target tokens, 0 for padding (B, T). Padding at the right needs none:
                no place sees a later one.
            encoder_outputs: What the encoder gave before, in place of the source.
            past_key_values: Keys and values of the target so far, as transformers before 5.24 names them.
            cache: The same, as later versions name them.
            inputs_embeds: Word vectors (B, L, H) in place of `input_ids`.
            decoder_inputs_embeds: Word vectors (B, T, H) in place of `decoder_input_ids`.
            decoder_position_ids: Positions of the target (B, T).
            labels: Target ids (B, T); -100 where nothing is asked.
            use_cache: Whether to return the keys and values.
            num_items_in_batch: Labels in the whole accumulated batch; the loss is divided by it.
            **kwargs: Passed to both halves.

        Returns:
            Logits (B, T, V), and the loss if labels were given.
        """
        if labels is not None:
            use_cache = False
            if decoder_input_ids is None and decoder_inputs_embeds is None:
                decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if encoder_outputs is None:
            read = self.tinybert(
                input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, return_dict=True, **kwargs
            )
        else:
            read = BaseModelOutput(*encoder_outputs[:3]) if isinstance(encoder_outputs, tuple) else encoder_outputs
        cache = past_key_values if cache is None else cache
        states: dict[str, Any] = {}
        further = (labels, decoder_attention_mask, decoder_position_ids, decoder_inputs_embeds)
        if decoder_input_ids is not None and self._is_plain_step(decoder_input_ids, cache, further, kwargs):
            decoded = self._plain_step(decoder_input_ids, attention_mask, cache)
            states[CACHE_NAME] = cache
        else:
            outputs = self.decoder(
                decoder_input_ids,
                attention_mask=decoder_attention_mask,
                position_ids=decoder_position_ids,
                inputs_embeds=decoder_inputs_embeds,
                encoder_hidden_states=self.bridge(read.last_hidden_state),
                encoder_attention_mask=attention_mask,
                use_cache=use_cache,
                return_dict=True,
                **{CACHE_NAME: cache},
                **kwargs,
            )
            decoded = outputs.last_hidden_state
            states[CACHE_NAME] = getattr(outputs, CACHE_NAME)
            states["decoder_hidden_states"] = outputs.hidden_states
            states["decoder_attentions"] = outputs.attentions
            states["cross_attentions"] = outputs.cross_attentions
        logits = self.lm_head(decoded)
        return Seq2SeqLMOutput(
            loss=None if labels is None else _translation_loss(logits, labels, num_items_in_batch),
            logits=logits,
            encoder_last_hidden_state=read.last_hidden_state,
            encoder_hidden_states=read.hidden_states,
            encoder_attentions=read.attentions,
            **states,
        )

    def _is_plain_step(
        self, tokens: Tensor, cache: Cache | None, further: tuple[Tensor | None, ...], options: dict[str, Any]
    ) -> bool:
        """Whether this is what `generate` asks for at each token but the first, and nothing else."""
        config = self.decoder.config
        return (
            isinstance(cache, EncoderDecoderCache)
            and not (self.training or options or config.output_hidden_states or config.output_attentions)
            and config._attn_implementation == "sdpa"
            and type(cache.self_attention_cache) is type(cache.cross_attention_cache) is DynamicCache
            and tokens.shape[1] == 1
            and all(one is None for one in further)
            and all(cache.is_updated.get(layer) for layer in range(len(self.decoder.encoder.layer)))
        )

    def _plain_step(self, tokens: Tensor, source_mask: Tensor | None, cache: EncoderDecoderCache) -> Tensor:
        """Decode one token as `self.decoder` does, without what only longer inputs need.

        Args:
            tokens: the last ids (B, 1).
            source_mask: 1 for real source tokens (B, L).
            cache: keys and values of the source and of the target so far; the token is added.

        Returns:
            Hidden state (B, 1, H).
        """
        embeddings = self.decoder.embeddings
        hidden = embeddings.word_embeddings(tokens) + embeddings.token_type_embeddings.weight[0]
        hidden = embeddings.LayerNorm(hidden + embeddings.position_embeddings.weight[cache.get_seq_length()])
        mask = None if source_mask is None else source_mask[:, None, None, :].bool()
        for index, layer in enumerate(self.decoder.encoder.layer):
            own, cross = layer.attention.self, layer.crossattention.self
            heads = (len(tokens), 1, own.num_attention_heads, own.attention_head_size)
            query, key, value = (part(hidden).view(heads).transpose(1, 2) for part in (own.query, own.key, own.value))
            key, value = cache.self_attention_cache.update(key, value, index)
            seen = functional.scaled_dot_product_attention(query, key, value)
            hidden = layer.attention.output(seen.transpose(1, 2).flatten(2), hidden)
            query = cross.query(hidden).view(heads).transpose(1, 2)
            source = cache.cross_attention_cache.layers[index]
            seen = functional.scaled_dot_product_attention(query, source.keys, source.values, attn_mask=mask)
            hidden = layer.crossattention.output(seen.transpose(1, 2).flatten(2), hidden)
            hidden = layer.feed_forward_chunk(hidden)
        return hidden


def _encoder_config(config: TinyBertConfig) -> TinyBertConfig:
    """The settings of the encoder: these, as those of an encoder alone."""
    encoder = type(config)(**{**config.to_dict(), "is_encoder_decoder": False})
    encoder._attn_implementation_internal = config._attn_implementation_internal
    return encoder


def _tied_weights(which: str) -> dict[str, str]:
    source, target = "tinybert.embeddings.word_embeddings.weight", "decoder.embeddings.word_embeddings.weight"
    if which == "all":
        return {target: source, "lm_head.weight": source}
    return {"lm_head.weight": target} if which == "target" else {}


def _translation_loss(logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None) -> Tensor:
    """Cross-entropy over the target tokens, divided by their number here or in the whole accumulated batch."""
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100, reduction="sum"
    )
    if num_items_in_batch is not None:
        return total / torch.as_tensor(num_items_in_batch, device=total.device)
    return total / (labels != -100).sum().clamp(min=1)


__all__ = ["TinyBertForSeq2Seq"]
