"""One batch of 8 rows and 4 batches of 2 rows move every weight to the same place."""

import pytest
import torch
from transformers import Trainer, TrainingArguments, set_seed

from tinybert_hf.model import TinyBertForSeq2Seq


class _Rows(torch.utils.data.Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {key: value[index] for key, value in self.batch.items()}


def _train(kind, config, batch, folder, batch_size):
    set_seed(0)
    model = kind(config)
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=8 // batch_size,
        max_steps=2,
        learning_rate=0.1,
        optim="sgd",
        max_grad_norm=0.0,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=_Rows(batch))
    trainer.train()
    return model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _check(kind, config, batch, folder):
    whole, whole_losses = _train(kind, config, batch, folder, batch_size=8)
    parts, parts_losses = _train(kind, config, batch, folder, batch_size=2)
    assert parts_losses == pytest.approx(whole_losses, rel=1e-4)
    set_seed(0)
    start = kind(config)
    assert not torch.equal(start.tinybert.embeddings.word_embeddings.weight, whole.get_input_embeddings().weight)
    for name, weight in whole.named_parameters():
        torch.testing.assert_close(parts.get_parameter(name), weight, rtol=1e-3, atol=1e-4, msg=name)


def test_accumulated_gradient_is_the_gradient_of_the_whole(head, tiny_config, tmp_path):
    config = tiny_config(num_labels=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    _check(head.tinybert, config, head.batch(), tmp_path)


def test_accumulated_gradient_of_a_translator_is_the_gradient_of_the_whole(heads, tiny_config, tmp_path):
    halves = {"is_encoder_decoder": True, "num_decoder_layers": 1, "decoder_hidden_size": 24}
    config = tiny_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **halves)
    masked_lm = heads[0].batch()  # row r has r + 1 labels
    batch = {name: masked_lm[name] for name in ("input_ids", "attention_mask", "labels")}
    _check(TinyBertForSeq2Seq, config, batch, tmp_path)
