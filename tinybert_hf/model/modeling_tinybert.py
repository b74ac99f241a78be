"""TinyBERT: BERT's own modules in a smaller shape, with the heads of the common tasks.

Every module comes from transformers by import. What differs from BERT: the name of the trunk (`tinybert`), a
classifier that can follow the published checkpoints, and losses that stay right under gradient accumulation.

This file travels with every saved checkpoint, so it imports the standard library, torch and transformers only, and
does not ask for the class of a configuration, which is another class in a process that opened it as remote code.
"""

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import (
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.models.bert.modeling_bert import BertModel, BertOnlyMLMHead, BertPreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple

from .configuration_tinybert import TinyBertConfig
from .manifest_tinybert import note_model

if TYPE_CHECKING:  # all files of the family, as in configuration_tinybert.py
    from .modeling_tinybert_seq2seq import TinyBertForSeq2Seq  # noqa: F401


class TinyBertPreTrainedModel(BertPreTrainedModel):
    """Base of the family: initialisation, attention implementations and recorded outputs are BERT's."""

    config: TinyBertConfig
    base_model_prefix = "tinybert"
    # The Trainer would take a forward with **kwargs for one that divides by the labels of the whole accumulated batch,
    # and would not divide itself: loss and gradient come out multiplied by the accumulation steps. A head whose rows
    # hold unequal numbers of labels does divide so, and says True.
    accepts_loss_kwargs = False

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> None:
        """As in transformers, and note the SHA-256 of the weights beside them.

        Args:
            save_directory: The folder to write to.
            is_main_process: Whether this process writes.
            *args: As for `PreTrainedModel.save_pretrained`.
            **kwargs: Likewise.
        """
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        if is_main_process:
            note_model(save_directory)

    def _upload_modified_files(self, working_dir: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        # A save that also uploads does so before it returns.
        note_model(working_dir)
        return super()._upload_modified_files(working_dir, *args, **kwargs)


class TinyBertModel(TinyBertPreTrainedModel, BertModel):
    """The encoder without a head: embeddings, layers and, unless left out, the pooler of the first token.

    Made from a `config` (the shape of the model) and `add_pooling_layer` (whether to make a pooler; yes by default).
    """


class TinyBertForMaskedLM(TinyBertPreTrainedModel):
    """TinyBERT that predicts masked tokens; its output matrix is the word embedding.

    Args:
        config: The shape of the model.
    """

    accepts_loss_kwargs = True
    _tied_weights_keys = {  # noqa: RUF012  transformers reads it from the class
        "cls.predictions.decoder.weight": "tinybert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    }

    def __init__(self, config: TinyBertConfig) -> None:
        super().__init__(config)
        self.tinybert = TinyBertModel(config, add_pooling_layer=False)
        self.cls = BertOnlyMLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """Return the layer that gives the scores of the vocabulary."""
        return self.cls.predictions.decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the layer that gives the scores of the vocabulary, with its bias."""
        self.cls.predictions.decoder = new_embeddings
        self.cls.predictions.bias = new_embeddings.bias

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> MaskedLMOutput:
        """Score the vocabulary at every token.

        Args:
            input_ids: Token ids (B, L).
            attention_mask: 1 for real tokens, 0 for padding (B, L).
            token_type_ids: Segment ids (B, L).
            position_ids: Positions (B, L).
            inputs_embeds: Word vectors (B, L, H) in place of `input_ids`.
            labels: True token ids (B, L); -100 where nothing is asked.
            num_items_in_batch: Labels in the whole accumulated batch; the loss is divided by it.
            **kwargs: Passed to the encoder.

        Returns:
            Logits (B, L, V), and the loss if labels were given.
        """
        outputs = self.tinybert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        logits = self.cls(outputs.last_hidden_state)
        loss = None if labels is None else _token_loss(logits, labels, num_items_in_batch)
        return MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


class TinyBertForSequenceClassification(TinyBertPreTrainedModel):
    """TinyBERT that labels whole texts: one label of many, several labels, or numbers.

    Args:
        config: The shape of the model. `problem_type` says which loss is used; where it is None, one label means
            regression, integer labels one class of many, and other labels several classes at once.
    """

    def __init__(self, config: TinyBertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.tinybert = TinyBertModel(config)
        self.classifier_input = nn.ReLU() if config.classifier_activation == "relu" else _classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> SequenceClassifierOutput:
        """Score the labels of each text.

        Args:
            input_ids: Token ids (B, L).
            attention_mask: 1 for real tokens, 0 for padding (B, L).
            token_type_ids: Segment ids (B, L).
            position_ids: Positions (B, L).
            inputs_embeds: Word vectors (B, L, H) in place of `input_ids`.
            labels: Class ids (B,), or 0/1 for each label (B, labels), or numbers (B,) or (B, labels).
            **kwargs: Passed to the encoder.

        Returns:
            Logits (B, labels), and the loss if labels were given.
        """
        outputs = self.tinybert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.classifier_input(outputs.pooler_output))
        loss = None if labels is None else self._loss(logits, labels)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of the problem type; a type found from the labels is kept, as BERT does, for the saved model."""
        problem_type = self.config.problem_type
        if problem_type is None:
            if self.num_labels == 1:
                problem_type = "regression"
            elif labels.dtype in (torch.long, torch.int):
                problem_type = "single_label_classification"
            else:
                problem_type = "multi_label_classification"
            self.config.problem_type = problem_type
        if problem_type == "single_label_classification":
            return functional.cross_entropy(logits, labels.view(-1))
        numbers = labels.to(logits.dtype).view(logits.shape)
        if problem_type == "regression":
            return functional.mse_loss(logits, numbers)
        return functional.binary_cross_entropy_with_logits(logits, numbers)


class TinyBertForTokenClassification(TinyBertPreTrainedModel):
    """TinyBERT that labels every token, as for named entities.

    Args:
        config: The shape of the model.
    """

    accepts_loss_kwargs = True

    def __init__(self, config: TinyBertConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.tinybert = TinyBertModel(config, add_pooling_layer=False)
        self.dropout = _classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> TokenClassifierOutput:
        """Score the labels of every token.

        Args:
            input_ids: Token ids (B, L).
            attention_mask: 1 for real tokens, 0 for padding (B, L).
            token_type_ids: Segment ids (B, L).
            position_ids: Positions (B, L).
            inputs_embeds: Word vectors (B, L, H) in place of `input_ids`.
            labels: Class ids (B, L); -100 where nothing is asked.
            num_items_in_batch: Labels in the whole accumulated batch; the loss is divided by it.
            **kwargs: Passed to the encoder.

        Returns:
            Logits (B, L, labels), and the loss if labels were given.
        """
        outputs = self.tinybert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.dropout(outputs.last_hidden_state))
        loss = None if labels is None else _token_loss(logits, labels, num_items_in_batch)
        return TokenClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


class TinyBertForQuestionAnswering(TinyBertPreTrainedModel):
    """TinyBERT that finds the span of a text that answers a question.

    Args:
        config: The shape of the model; its number of labels plays no part.
    """

    def __init__(self, config: TinyBertConfig) -> None:
        super().__init__(config)
        self.tinybert = TinyBertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> QuestionAnsweringModelOutput:
        """Score every token as first and as last of the answer.

        Args:
            input_ids: Token ids (B, L).
            attention_mask: 1 for real tokens, 0 for padding (B, L).
            token_type_ids: Segment ids (B, L).
            position_ids: Positions (B, L).
            inputs_embeds: Word vectors (B, L, H) in place of `input_ids`.
            start_positions: First token of each answer (B,); L or more where it was cut off, which counts for nothing.
            end_positions: Last token of each answer (B,); the same.
            **kwargs: Passed to the encoder.

        Returns:
            Start and end logits, each (B, L), and the mean of both losses if positions were given.
        """
        outputs = self.tinybert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **kwargs,
        )
        start_logits, end_logits = self.qa_outputs(outputs.last_hidden_state).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (_position_loss(start_logits, start_positions) + _position_loss(end_logits, end_positions)) / 2
        return QuestionAnsweringModelOutput(
            loss=loss,
            start_logits=start_logits.contiguous(),
            end_logits=end_logits.contiguous(),
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class TinyBertForMultipleChoice(TinyBertPreTrainedModel):
    """TinyBERT that picks one of several texts.

    Args:
        config: The shape of the model; its number of labels plays no part.
    """

    def __init__(self, config: TinyBertConfig) -> None:
        super().__init__(config)
        self.tinybert = TinyBertModel(config)
        self.dropout = _classifier_dropout(config)
        # Not `classifier`: a classifier of several labels would be refused here for its size, instead of opening with
        # a new head.
        self.choice_classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> MultipleChoiceModelOutput:
        """Score the choices of each row.

        Args:
            input_ids: Token ids (B, choices, L).
            attention_mask: 1 for real tokens, 0 for padding (B, choices, L).
            token_type_ids: Segment ids (B, choices, L).
            position_ids: Positions (B, choices, L).
            inputs_embeds: Word vectors (B, choices, L, H) in place of `input_ids`.
            labels: Index of the right choice (B,).
            **kwargs: Passed to the encoder.

        Returns:
            Logits (B, choices), and the loss if labels were given.

        Raises:
            ValueError: Neither `input_ids` nor `inputs_embeds` was given.
        """
        given = inputs_embeds if input_ids is None else input_ids
        if given is None:
            raise ValueError("You must specify exactly one of input_ids or inputs_embeds")
        choices = given.shape[1]
        outputs = self.tinybert(
            _merge_choices(input_ids),
            attention_mask=_merge_choices(attention_mask),
            token_type_ids=_merge_choices(token_type_ids),
            position_ids=_merge_choices(position_ids),
            inputs_embeds=_merge_choices(inputs_embeds),
            return_dict=True,
            **kwargs,
        )
        logits = self.choice_classifier(self.dropout(outputs.pooler_output)).view(-1, choices)
        loss = None if labels is None else functional.cross_entropy(logits, labels.view(-1))
        return MultipleChoiceModelOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


def _classifier_dropout(config: TinyBertConfig) -> nn.Dropout:
    """Dropout before a classifier: its own share, or else that of the hidden states."""
    share = config.classifier_dropout
    return nn.Dropout(config.hidden_dropout_prob if share is None else share)


def _token_loss(logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None) -> Tensor:
    """Cross-entropy over the labelled tokens, divided by their number here or in the whole accumulated batch.

    A batch without any labelled token gives 0, where the plain mean would be NaN and spoil the model.
    """
    labels = labels.view(-1)
    total = functional.cross_entropy(logits.view(labels.shape[0], -1), labels, ignore_index=-100, reduction="sum")
    if num_items_in_batch is not None:
        return total / num_items_in_batch
    return total / (labels != -100).sum().clamp(min=1)


def _position_loss(logits: Tensor, positions: Tensor) -> Tensor:
    """Cross-entropy of a position among the L tokens; positions outside the text are ignored."""
    length = logits.shape[1]
    return functional.cross_entropy(logits, positions.view(-1).clamp(0, length), ignore_index=length)


def _merge_choices(tensor: Tensor | None) -> Tensor | None:
    """(B, choices, ...) -> (B * choices, ...)."""
    return None if tensor is None else tensor.flatten(0, 1)


__all__ = [
    "TinyBertForMaskedLM",
    "TinyBertForMultipleChoice",
    "TinyBertForQuestionAnswering",
    "TinyBertForSequenceClassification",
    "TinyBertForTokenClassification",
    "TinyBertModel",
    "TinyBertPreTrainedModel",
]
