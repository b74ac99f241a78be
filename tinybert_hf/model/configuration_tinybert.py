"""Configuration of the TinyBERT family, and the one table of the Auto classes that open its checkpoints.

This file travels with every saved checkpoint, so it imports the standard library, torch, transformers and
huggingface_hub only, and does not postpone its annotations: `@strict` checks the types that it reads from them.
"""

import copy
import difflib
import math
import os
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import transformers
from huggingface_hub.dataclasses import strict
from transformers import BertConfig
from transformers.activations import ACT2FN

if TYPE_CHECKING:
    # One line for each file of the family. Not for the type checker: transformers reads relative imports as text, and
    # brings these files along whenever it fetches or saves this one, so a checkpoint never loses part of its code.
    # Before 5.9 it follows them one step only when it opens a folder: so every file names every other.
    from .manifest_tinybert import note_model  # noqa: F401
    from .modeling_tinybert import TinyBertModel  # noqa: F401
    from .modeling_tinybert_seq2seq import TinyBertForSeq2Seq  # noqa: F401

OLDEST_TRANSFORMERS = "5.4"

if not is_dataclass(BertConfig):  # where this folder's code runs, no package has asked for a version
    raise ImportError(
        f"A TinyBERT opens with transformers {OLDEST_TRANSFORMERS} and later; this is {transformers.__version__}. "
        "Update it, or make a model that older ones open where tinybert_hf is installed: tinybert export FOLDER --to "
        "bert (a translator: --to bart)."
    )

AUTO_CLASSES: dict[str, str] = {
    "AutoConfig": "configuration_tinybert.TinyBertConfig",
    "AutoModel": "modeling_tinybert.TinyBertModel",
    "AutoModelForTextEncoding": "modeling_tinybert.TinyBertModel",
    "AutoModelForPreTraining": "modeling_tinybert.TinyBertForMaskedLM",
    "AutoModelForMaskedLM": "modeling_tinybert.TinyBertForMaskedLM",
    "AutoModelForSequenceClassification": "modeling_tinybert.TinyBertForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_tinybert.TinyBertForTokenClassification",
    "AutoModelForQuestionAnswering": "modeling_tinybert.TinyBertForQuestionAnswering",
    "AutoModelForMultipleChoice": "modeling_tinybert.TinyBertForMultipleChoice",
    "AutoModelForSeq2SeqLM": "modeling_tinybert_seq2seq.TinyBertForSeq2Seq",
}
"""Auto class of transformers -> `file.Class`: registered when the package is imported, and a save's `auto_map`."""

# Plain values alone: commands read this table without importing the file, which would load torch.
#
# A translator begins at random. With the usual 0.02 a narrow one attends to all source words alike and learns for
# many epochs to ignore them; width ** -0.5 makes scores of the size that they have in a trained model.
PRESETS: dict[str, dict[str, Any]] = {
    "4l-312d": {
        "num_hidden_layers": 4,
        "hidden_size": 312,
        "intermediate_size": 1200,
        "num_attention_heads": 12,
        "vocab_size": 30522,
    },
    "6l-768d": {
        "num_hidden_layers": 6,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "vocab_size": 30522,
    },
    "4l-312d-zh": {
        "num_hidden_layers": 4,
        "hidden_size": 312,
        "intermediate_size": 1200,
        "num_attention_heads": 12,
        "vocab_size": 21128,
    },
    "6l-768d-zh": {
        "num_hidden_layers": 6,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "vocab_size": 21128,
    },
    "2l-192d": {
        "num_hidden_layers": 2,
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_attention_heads": 12,
        "vocab_size": 30522,
    },
    "2l-128d": {
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "vocab_size": 30522,
    },
    "1l-128d": {
        "num_hidden_layers": 1,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "vocab_size": 30522,
    },
    "seq2seq-6-2-256d": {
        "num_hidden_layers": 6,
        "num_decoder_layers": 2,
        "hidden_size": 256,
        "intermediate_size": 1536,
        "num_attention_heads": 8,
        "vocab_size": 32000,
        "is_encoder_decoder": True,
        "max_position_embeddings": 256,
        "type_vocab_size": 1,
        "eos_token_id": 1,
        "initializer_range": 0.06,
    },
    "seq2seq-4-2-312d": {
        "num_hidden_layers": 4,
        "num_decoder_layers": 2,
        "hidden_size": 312,
        "intermediate_size": 1200,
        "num_attention_heads": 12,
        "vocab_size": 32000,
        "is_encoder_decoder": True,
        "max_position_embeddings": 256,
        "type_vocab_size": 1,
        "eos_token_id": 1,
        "initializer_range": 0.06,
    },
    "seq2seq-3-1-128d": {
        "num_hidden_layers": 3,
        "num_decoder_layers": 1,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "vocab_size": 8000,
        "is_encoder_decoder": True,
        "max_position_embeddings": 256,
        "type_vocab_size": 1,
        "eos_token_id": 1,
        "initializer_range": 0.09,
    },
}
"""Shapes by name: the four published students (Jiao et al. 2020); smaller ones, of which `1l-128d` does a twentieth of
the work of `4l-312d`; and translators with a deep encoder and a shallow decoder (Kasai et al. 2021),
`seq2seq-ENCODER-DECODER-WIDTH`."""

# What no model has: a number beyond these is a slip or an attack, and would fill the memory before it failed.
_MAX_SIZE, _MAX_LABELS, _MAX_WEIGHTS = 10**7, 10**6, 10**11
_USUAL_HEADS = 12

# Settings that are not fields but that every configuration takes.
_FURTHER_SETTINGS = ("num_labels", "attn_implementation", "output_attentions", "name_or_path", "torch_dtype")


@strict
class TinyBertConfig(BertConfig):
    """Settings of a TinyBERT: those of BERT, with the published 4-layer student as defaults.

    Attributes:
        num_attention_heads: Heads of the encoder; None: 12, or the next smaller number that divides the width.
        classifier_activation: What the sequence classifier does to the pooled output. None: dropout, as BERT in
            transformers. "relu": a rectifier and no dropout, as the published TinyBERT checkpoints, whose weights
            give other logits without it.
        num_decoder_layers: Depth of the decoder of `TinyBertForSeq2Seq`; only with `is_encoder_decoder`. The fields
            above describe its encoder.
        decoder_hidden_size: Width of the decoder; None: as the encoder.
        decoder_num_attention_heads: Heads of the decoder; None: as the encoder, or chosen likewise where those do not
            divide its width.
        decoder_intermediate_size: Width of the decoder's feed-forward part; None: as the encoder.
        decoder_vocab_size: Size of a target vocabulary of its own; None: source and target share one.
        decoder_start_token_id: First token that the decoder reads; None: `pad_token_id`.
        tie_embeddings: Which word embeddings are one matrix. "all": source, target and output; "target": target and
            output; "none": none. None: "all" where the shapes agree, else "target".
    """

    model_type = "tinybert"
    # Makes every save copy this file, and the files that it names above, beside the weights.
    _auto_class: ClassVar[str | None] = "AutoConfig"

    hidden_size: int = 312
    num_hidden_layers: int = 4
    intermediate_size: int = 1200
    num_attention_heads: int | None = None  # type: ignore[assignment]  # a number once it is made
    classifier_activation: Literal["relu"] | None = None
    num_decoder_layers: int | None = None
    decoder_hidden_size: int | None = None
    decoder_num_attention_heads: int | None = None
    decoder_intermediate_size: int | None = None
    decoder_vocab_size: int | None = None
    decoder_start_token_id: int | None = None
    tie_embeddings: Literal["all", "target", "none"] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Refuse labels and number formats before transformers makes tables of them."""
        _check_labels(kwargs.get("num_labels"), self.id2label, self.label2id)
        for dtype in (self.dtype, kwargs.get("dtype"), kwargs.get("torch_dtype")):
            if dtype is not None and not isinstance(
                getattr(torch, str(dtype).removeprefix("torch."), None), torch.dtype
            ):
                raise ValueError(f"dtype is {dtype!r:.60}, which is no number format of torch.")
        if self.num_attention_heads is None:
            self.num_attention_heads = _heads_for(self.hidden_size)
        own = self.decoder_hidden_size
        if (
            own is not None
            and self.decoder_num_attention_heads is None
            and not _divides(self.num_attention_heads, own)
        ):
            self.decoder_num_attention_heads = _heads_for(own)
        super().__post_init__(**kwargs)

    @property
    def tied_embeddings(self) -> str:
        """Which word embeddings of a translator are one matrix: "all", "target" or "none"."""
        if self.tie_embeddings is not None:
            return self.tie_embeddings
        return "all" if self._embeddings_agree() else "target"

    def _embeddings_agree(self) -> bool:
        return self.decoder_vocab_size in (None, self.vocab_size) and self.decoder_hidden_size in (
            None,
            self.hidden_size,
        )

    def decoder_config(self) -> "TinyBertConfig":
        """The settings of the decoder of `TinyBertForSeq2Seq`, as those of a model of its own."""
        config = type(self)(**{**self.to_dict(), **self._decoder_fields()})
        config._attn_implementation_internal = self._attn_implementation_internal
        return config

    def _decoder_fields(self) -> dict[str, Any]:
        """What differs in the decoder's settings."""
        own = {
            "num_hidden_layers": self.num_decoder_layers,
            "hidden_size": self.decoder_hidden_size,
            "num_attention_heads": self.decoder_num_attention_heads,
            "intermediate_size": self.decoder_intermediate_size,
            "vocab_size": self.decoder_vocab_size,
        }
        given = {name: value for name, value in own.items() if value is not None}
        none = {field.name: None for field in fields(self) if field.name.startswith(("decoder_", "num_decoder_"))}
        flags = {"is_decoder": True, "add_cross_attention": True, "is_encoder_decoder": False, "tie_embeddings": None}
        return {**none, **given, **flags}

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> "TinyBertConfig":
        """The settings of the decoder where `generate` asks for them (the shape of its cache), else these."""
        if decoder and not encoder and self.is_encoder_decoder and self.num_decoder_layers is not None:
            # `generate` asks several times a call: a copy is not checked again, as `decoder_config` would be.
            view = copy.copy(self)
            view.__dict__.update(self._decoder_fields())
            return view
        return self

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> "TinyBertConfig":
        """Make the configuration of a named shape.

        Args:
            name: A key of `PRESETS`.
            **overrides: Fields that differ from the preset, and `num_labels`. The heads of the preset follow a width
                of its own that they do not divide.

        Returns:
            The configuration.

        Raises:
            ValueError: No such preset, or no such field; the message names the nearest.
        """
        if name not in PRESETS:
            raise ValueError(
                f"There is no preset {name!r}; did you mean {_nearest(name, PRESETS)!r}? All: {', '.join(PRESETS)}."
            )
        known = {field.name for field in fields(cls)}.union(_FURTHER_SETTINGS)
        for key in overrides:
            if key not in known:
                raise ValueError(f"TinyBertConfig has no field {key!r}; did you mean {_nearest(key, known)!r}?")
        shape = {**PRESETS[name], **overrides}
        if "num_attention_heads" not in overrides and not _divides(shape["num_attention_heads"], shape["hidden_size"]):
            shape["num_attention_heads"] = None
        return cls(**shape)

    def validate_sizes(self) -> None:
        """Refuse sizes that are not positive and shares that are not between 0 and 1."""
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
            "num_decoder_layers",
            "decoder_hidden_size",
            "decoder_num_attention_heads",
            "decoder_intermediate_size",
            "decoder_vocab_size",
        ):
            size = getattr(self, name)
            if size is not None and not 1 <= size <= _MAX_SIZE:
                least = "at least 1" if size < 1 else f"at most {_MAX_SIZE:,}"
                raise ValueError(f"{name} is {_number(size)}; it must be {least}.")
        if self.least_weights() > _MAX_WEIGHTS:
            raise ValueError(
                f"hidden_size {self.hidden_size}, num_hidden_layers {self.num_hidden_layers}, vocab_size "
                f"{self.vocab_size} and the other sizes make a model of {self.least_weights():.2g} weights."
            )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is {_number(share)}; it must lie between 0 and 1.")
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(f"pad_token_id is {self.pad_token_id}, outside the vocabulary of {self.vocab_size}.")

    def validate_numbers(self) -> None:
        """Refuse numbers with which every output would be NaN, and functions that are not there."""
        if not 0 < self.layer_norm_eps < math.inf:
            raise ValueError(f"layer_norm_eps is {_number(self.layer_norm_eps)}; it must be above 0 and finite.")
        if not 0 <= self.initializer_range < math.inf:
            raise ValueError(f"initializer_range is {_number(self.initializer_range)}; it must be 0 or more.")
        if self.chunk_size_feed_forward < 0:
            raise ValueError(f"chunk_size_feed_forward is {_number(self.chunk_size_feed_forward)}; it must be >= 0.")
        if self.hidden_act not in ACT2FN:
            raise ValueError(
                f"hidden_act is {self.hidden_act!r:.60}; did you mean {_nearest(self.hidden_act, ACT2FN)!r}?"
            )
        targets = self.decoder_vocab_size or self.vocab_size
        if self.decoder_start_token_id is not None and not 0 <= self.decoder_start_token_id < targets:
            raise ValueError(
                f"decoder_start_token_id is {_number(self.decoder_start_token_id)}, outside the vocabulary of "
                f"{targets}."
            )

    def least_weights(self) -> int:
        """A number of weights that no model of these sizes stays below: embeddings and layers."""
        total = _weights(self.hidden_size, self.intermediate_size, self.num_hidden_layers)
        total += (self.vocab_size + self.max_position_embeddings) * self.hidden_size
        if self.is_encoder_decoder and self.num_decoder_layers is not None:
            width = self.decoder_hidden_size or self.hidden_size
            total += _weights(width, self.decoder_intermediate_size or self.intermediate_size, self.num_decoder_layers)
            total += self.max_position_embeddings * width
            if self.tied_embeddings != "all":
                total += (self.decoder_vocab_size or self.vocab_size) * width
        return total

    def validate_heads(self) -> None:
        """Refuse a width that the heads cannot share evenly."""
        width: int = self.hidden_size
        heads: Any = self.num_attention_heads
        _check_heads("", width, heads)
        if self.is_encoder_decoder:
            _check_heads("decoder_", self.decoder_hidden_size or width, self.decoder_num_attention_heads or heads)

    def validate_decoder(self) -> None:
        """Refuse embeddings that cannot be one matrix."""
        if self.tie_embeddings == "all" and not self._embeddings_agree():
            raise ValueError(
                'tie_embeddings is "all", but the source embeddings '
                f"({self.vocab_size} x {self.hidden_size}) and the target embeddings "
                f"({self.decoder_vocab_size or self.vocab_size} x {self.decoder_hidden_size or self.hidden_size}) "
                'have different shapes. Set tie_embeddings to "target", or decoder_vocab_size and '
                "decoder_hidden_size to None."
            )

    def _fits(self, auto_class: str) -> bool:
        """Whether an Auto class can open a checkpoint of this shape: without a decoder, none that writes."""
        return self.num_decoder_layers is not None or auto_class != "AutoModelForSeq2SeqLM"

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Write config.json with every Auto class that fits in its `auto_map`, and the code of the family beside it.

        transformers itself would name only the class that is being saved, so `AutoModel` could not open the
        checkpoint of a classifier.

        Args:
            save_directory: The folder to write to.
            push_to_hub: Also upload the folder.
            **kwargs: As for `PreTrainedConfig.save_pretrained`.
        """
        self.auto_map = {name: file for name, file in AUTO_CLASSES.items() if self._fits(name)}
        super().save_pretrained(os.fspath(save_directory), push_to_hub=push_to_hub, **kwargs)


def _check_labels(count: Any, names: Any, ids: Any) -> None:
    if count is not None and (not isinstance(count, int) or not 1 <= count <= _MAX_LABELS):
        raise ValueError(f"num_labels is {_number(count)}; it must be a whole number from 1 to {_MAX_LABELS:,}.")
    if names is not None:
        if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
            raise ValueError(f'id2label is {names!r:.60}; it must give each label a name: {{"0": "negative", ...}}.')
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise ValueError(f"id2label has the keys {', '.join(map(str, names)):.60}; they must count from 0.")
    if ids is not None and not isinstance(ids, dict):
        raise ValueError(f'label2id is {ids!r:.60}; it must give each name its number: {{"negative": 0, ...}}.')


def _weights(width: int, inner: int, layers: int) -> int:
    """Of the matrices of a stack of layers, cross-attention left out."""
    return layers * (4 * width * width + 2 * width * inner)


def _divides(heads: Any, width: Any) -> bool:
    """Whether heads share a width evenly; sizes that are no sizes are refused later, each with its name."""
    return not (isinstance(heads, int) and isinstance(width, int) and heads > 0 and width > 0 and width % heads)


def _heads_for(width: Any) -> int:
    """12 heads, as BERT and all published students have, or the next smaller number that divides the width."""
    return next(heads for heads in range(_USUAL_HEADS, 0, -1) if _divides(heads, width))


def _number(value: Any) -> str:
    """For a message: a number of a thousand digits fills no screen."""
    return f"{value!r:.40}" if not isinstance(value, int) or abs(value) < 10**18 else "a number of more than 18 digits"


def _check_heads(prefix: str, width: int, heads: int) -> None:
    if width % heads == 0:
        return
    fitting = [count for count in range(1, width + 1) if width % count == 0]
    raise ValueError(
        f"{prefix}hidden_size {width} is not a multiple of {prefix}num_attention_heads {heads}. Set "
        f"{prefix}num_attention_heads to {min(fitting, key=lambda count: abs(count - heads))}, or {prefix}hidden_size "
        f"to {max(1, round(width / heads)) * heads}."
    )


def _nearest(name: str, known: "dict[str, Any] | set[str]") -> str:
    """The known name that is most like the one given."""
    return difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.0)[0]


__all__ = ["AUTO_CLASSES", "PRESETS", "TinyBertConfig"]
