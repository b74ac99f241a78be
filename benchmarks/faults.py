"""Faults of one line, each in a place where a silent mistake would spoil a student.

`planted_faults.py`, beside this file, plants them one by one and runs the tests; tests/test_planted_faults.py looks
whether each can still be planted. `nearest` names the tests that are run first, only to save time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One replacement of a text that stands once in a file of the package."""

    what: str
    file: str
    old: str
    new: str
    nearest: str


ATTENTION, HIDDEN = "distillation/losses/attention.py", "distillation/losses/hidden_state.py"
PREDICTION, OBJECTIVE = "distillation/losses/prediction.py", "distillation/objective.py"
MAPS, CAPTURE, PROJECTIONS = "distillation/layer_map.py", "distillation/capturing.py", "distillation/projections.py"
ENTRIES = "distillation/losses/prediction.py", "distillation/losses/entry.py", "distillation/losses/__init__.py"
OWN, TESTS_OF_OWN = "distillation/losses/own.py", "tests/training/test_own_losses.py"
HEADS, FOLLOWING = "distillation/heads.py", "training/following.py"
TESTS_OF_HEADS = "tests/distillation/test_heads.py tests/training/test_following.py"
TRAINER, BASE, CHECKPOINTS = "training/trainer.py", "training/resumable.py", "training/checkpoints.py"
PHASES, CACHE, ANSWERS = "training/phases.py", "training/teacher_cache.py", "training/teacher_cache.py"
MODEL, TRANSLATOR = "model/modeling_tinybert.py", "model/modeling_tinybert_seq2seq.py"
TESTS_OF_LOSSES = (
    "tests/distillation/test_losses.py tests/distillation/test_precision.py tests/distillation/test_seq2seq_losses.py"
)
TESTS_OF_MAPS = "tests/distillation/test_layer_map.py tests/distillation/test_objective.py tests/distillation/test_seq2seq_losses.py"
TESTS_OF_CAPTURE = "tests/distillation/test_capture.py tests/distillation/test_seq2seq_capture.py tests/distillation/test_precision.py"
TESTS_OF_TRAINER, TESTS_OF_RESUME = "tests/training/test_trainer.py", "tests/training/test_interrupted_runs.py"
TESTS_OF_ORIGIN, TESTS_OF_BEST = "tests/training/test_origin.py", "tests/training/test_best_model.py"
LOADED, FILE, INTEGRITY = "checkpoints/loading.py", "checkpoints/tokenizers.py", "checkpoints/integrity.py"
TESTS_OF_OPENING = "tests/checkpoints"
TESTS_OF_CACHE = "tests/training/test_teacher_cache.py"
TESTS_OF_CARDS, TESTS_OF_SPEED = (
    "tests/checkpoints",
    "tests/evaluation/test_benchmark.py tests/evaluation/test_rounds.py",
)
LIMITS, TESTS_OF_LIMITS = "checkpoints/input_limits.py", "tests/checkpoints/test_input_limits.py"
TESTS_OF_PROCESSES, TESTS_OF_MODEL = "tests/training/test_two_processes.py", "tests/model"
VALUES, NAMES, TEACHER = "data/label_values.py", "data/label_values.py", "distillation/teachers.py"
TESTS_OF_LABELS = "tests/data/test_labels.py"

FAULTS = (
    # Losses
    Fault("padded queries count in the attention loss", ATTENTION, "_grouped(one.query, heads).masked_fill(padded, 0.0)", "_grouped(one.query, heads)", TESTS_OF_LOSSES),
    Fault("padded keys count in the attention loss", ATTENTION, "_grouped(one.key, heads).masked_fill(padded_keys, 0.0)", "_grouped(one.key, heads)", TESTS_OF_LOSSES),
    Fault("scores of grouped heads are summed, not averaged", ATTENTION, "one.scaling * heads / one.query.shape[1]", "one.scaling", TESTS_OF_LOSSES),
    Fault("the teacher's scores are added, not subtracted", ATTENTION, "-teacher.key.to(dtype)", "teacher.key.to(dtype)", TESTS_OF_LOSSES),
    Fault("pairs are counted over the batch, not over rows", ATTENTION, "(mask.sum(-1) * key_mask.sum(-1)).sum()", "mask.sum() * key_mask.sum()", TESTS_OF_LOSSES),
    Fault("a decoder's query is compared with the next key", ATTENTION, "scores.tril(start)", "scores.tril(start + 1)", TESTS_OF_LOSSES),
    Fault("only the last block of a long target pulls at the keys", ATTENTION, "by_key[..., :seen, :] += 2", "by_key[..., :seen, :] = 2", TESTS_OF_LOSSES),
    Fault("a sum of squares that cancels is believed", ATTENTION, "or found.total >= _TRUSTED[dtype] * found.parts", "or found.total >= -1.0", TESTS_OF_LOSSES),
    Fault("fp64 is believed however much it cancels", ATTENTION, "        yield torch.float64, _by_scores\n", "        pass\n", TESTS_OF_LOSSES),
    Fault("a gradient of Gram matrices by half", ATTENTION, "2 * (query @ of_keys[..., :own])", "(query @ of_keys[..., :own])", TESTS_OF_LOSSES),
    Fault("pairs of a target without its own places", "distillation/batch.py", "lengths * (lengths + 1) // 2", "lengths * (lengths - 1) // 2", TESTS_OF_LOSSES),
    Fault("attention loss in half precision", ATTENTION, "device.type, enabled=False", "device.type, enabled=True", TESTS_OF_LOSSES),
    Fault("padded tokens count in the hidden-state loss", HIDDEN, "~mask.to(torch.bool)[..., None], 0.0", "~mask.to(torch.bool)[..., None] & False, 0.0", TESTS_OF_LOSSES),
    Fault("padding is multiplied by 0, which keeps a NaN", HIDDEN, ".masked_fill(~mask.to(torch.bool)[..., None], 0.0)", " * mask[..., None]", TESTS_OF_LOSSES),
    Fault("hidden-state loss summed over the width", HIDDEN, "(at_least_some(token_count) * teacher.shape[-1])", "at_least_some(token_count)", TESTS_OF_LOSSES),
    Fault("hidden states compared in half precision", HIDDEN, "(projected.float() - teacher.float())", "(projected - teacher)", TESTS_OF_LOSSES),
    Fault("temperature on the student alone", PREDICTION, "logits = logits / temperature", "pass", TESTS_OF_LOSSES),
    Fault("a log of a softmax that may be 0", PREDICTION, "student.log_softmax(-1)", "student.softmax(-1).log()", TESTS_OF_LOSSES),
    Fault("logits as targets of several labels", PREDICTION, "logits.sigmoid() if problem_type == MULTI_LABEL", "logits if problem_type == MULTI_LABEL", TESTS_OF_LOSSES),
    Fault("the teacher's labels in its own order", OBJECTIVE, "logits = logits[..., order]", "pass", TESTS_OF_MAPS),
    Fault("padded target tokens are predicted too", ENTRIES[0], "real = (inputs.target_mask if inputs.translates else masks.source).bool()", "real = masks.source.new_ones(student.shape[:2]).bool()", TESTS_OF_LOSSES),
    Fault("means over the rows of a part of the batch", OBJECTIVE, "counts=self._counts_of(masks, batch) if counts is None else counts", "counts=self._counts_of(masks, batch)", TESTS_OF_LOSSES),
    Fault("every teacher counts alike", PREDICTION, "answer * weight for", "answer / len(answers) for", "tests/distillation/test_joint_objective.py tests/training/test_several_teachers.py"),
    Fault("the first teacher's states for every teacher", ENTRIES[1], "weight * towards(index)", "weight * towards(0)", "tests/distillation/test_joint_objective.py tests/training/test_several_teachers.py"),
    Fault("a row without tokens counts in the span loss", "distillation/losses/prediction.py", "each = each.masked_fill(~mask.bool().any(-1, keepdim=True), 0.0)", "pass", "tests/distillation/test_spans.py"),
    Fault("infinity is a number that a setting can have", "errors.py", "0 < number < below", "0 < number", "tests/distillation/test_objective.py tests/training/test_trainer.py"),
    Fault("a student that computes more is called faster", "recipes/plan.py", "self.parameters < other.parameters and not slower", "self.parameters < other.parameters", "tests/recipes/test_plan.py"),
    Fault("twelve heads whatever the width", "model/configuration_tinybert.py", "self.num_attention_heads = _heads_for(self.hidden_size)", "self.num_attention_heads = _USUAL_HEADS", "tests/model/test_configuration.py"),
    # Losses of one's own
    Fault("the mean of a batch as that of the whole", OWN, "return total.float() * (own / at_least_some(whole))", "return total.float()", TESTS_OF_OWN),
    Fault("a sum over tokens divided by rows", OWN, "whole = inputs.counts.own[name] if callable(self.count) else getattr(inputs.counts, self.count)", "whole = inputs.counts.rows", TESTS_OF_OWN),
    Fault("a count that is another is believed", OWN, "if inputs.counts_are_own and abs(", "if False and abs(", TESTS_OF_OWN),
    Fault("the teacher's layers by its own numbers", OWN, "{m: other[n] for m, n in layer_map.pairs}", "{n: other[n] for m, n in layer_map.pairs}", TESTS_OF_OWN),
    Fault("a loss of one's own without its weight", TRAINER, "{name: loss.weight for name, loss in self.extra_losses.items()}}", "{name: 1.0 for name in self.extra_losses}}", TESTS_OF_OWN),
    Fault("the look at the first rows moves the buffers of a loss", "training/setup.py", "buffer.copy_(before)", "pass", TESTS_OF_OWN),
    Fault("a finished phase leaves its losses as they were", "training/phases.py", "load_extra_losses(work, losses_of_phase(own, phase.name))", "pass", TESTS_OF_OWN),
    Fault("a trial goes on with the weights of the one before", TRAINER, "self.extra_losses[name].function).load_state_dict(start)", "self.extra_losses[name].function)", TESTS_OF_OWN),
    # Layer maps and projections
    Fault("a loss whose map is none is computed all the same", "training/phase_losses.py", "usual = tuple(name for name in usual if name not in off)", "pass", "tests/training/test_trainer.py"),
    Fault("a deeper student starts from no layer", MAPS, "min(max(n, 1), teacher_layers)", "n", TESTS_OF_MAPS),
    Fault("uniform map rounded down", MAPS, "(2 * m * teacher_layers + student_layers) // (2 * student_layers)", "m * teacher_layers // student_layers", TESTS_OF_MAPS),
    Fault("top map one layer too low", MAPS, "teacher_layers - student_layers if name", "teacher_layers - student_layers - 1 if name", TESTS_OF_MAPS),
    Fault("a list of layers counted from 0", MAPS, "return list(enumerate(teachers, start=1))", "return list(enumerate(teachers, start=0))", TESTS_OF_MAPS),
    Fault("a projection for the embeddings alone", OBJECTIVE, "tuple(dict.fromkeys((0, *objective.each[0].projected_layers)))", "(0,)", "tests/distillation/test_objective.py"),
    Fault("a loss between decoders over the tokens of the source", HIDDEN, "hidden_state_loss(s, t, at.target_mask, projection, token_count=at.counts.target_tokens)", "hidden_state_loss(s, t, at.target_mask, projection, token_count=at.counts.tokens)", TESTS_OF_LOSSES),
    Fault("the check of a recipe brings torch", "training/phase_losses.py", "from tinybert_hf.errors import RecipeError, check_number", "import torch\n\nfrom tinybert_hf.errors import RecipeError, check_number", "tests/test_public_api.py"),
    Fault("a translator's speed is read as a time", "publishing/report.py", "return student / teacher if speed.longer_is_better else teacher / student", "return teacher / student", "tests/publishing/report/test_page.py"),
    Fault("a run of no decoder loses its start from the teacher", "recipes/plan.py", "return not self.recipe.spec.has_decoder and", "return self.recipe.spec.has_decoder and", "tests/recipes/test_plan.py"),
    Fault("one map for hidden states and attention", ENTRIES[2], "layer_maps=(\"attention_layer_map\", \"layer_map\")", "layer_maps=(\"layer_map\",)", TESTS_OF_MAPS),
    Fault("embeddings learn a later layer", ENTRIES[1], "EMBEDDINGS = LayerMap(((0, 0),))", "EMBEDDINGS = LayerMap(((0, 1),))", TESTS_OF_MAPS),
    Fault("projections fitted without a bias", PROJECTIONS, "return weight, y_mean - weight @ x_mean", "return weight, y_mean", TESTS_OF_MAPS),
    Fault("one projection where each layer has its own", PROJECTIONS, '"shared" if self.mode == "shared" else str(layer)', '"shared" if self.mode == "shared" else next(iter(self.maps))', TESTS_OF_MAPS),
    # Capture
    Fault("queries and keys of the layer before", CAPTURE, "calls[layer - 1]", "calls[layer - 2]", TESTS_OF_CAPTURE),
    Fault("no padding mask while recording", CAPTURE, "AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[own])", "pass", TESTS_OF_CAPTURE),
    Fault("the model's own scaling is not looked at", CAPTURE, "query.shape[-1] ** -0.5 if scaling is None else float(scaling)", "query.shape[-1] ** -0.5", TESTS_OF_CAPTURE),
    Fault("key heads repeated in the wrong order", CAPTURE, "key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)", "key.repeat(1, query.shape[1] // key.shape[1], 1, 1)", TESTS_OF_CAPTURE),
    Fault("cross-attention taken for self-attention", CAPTURE, "written[0::2]", "written[1::2]", TESTS_OF_CAPTURE),
    Fault("the model is left in its recording form", CAPTURE, "        model.set_attn_implementation(own)", "        pass", TESTS_OF_CAPTURE),
    Fault("layers without a gradient are accepted", CAPTURE, "if torch.is_grad_enabled() and not query.requires_grad", "if False and not query.requires_grad", TESTS_OF_CAPTURE),
    Fault("the teacher with dropout", OBJECTIVE, "with evaluation_mode(teacher), torch.no_grad(), ", "with torch.no_grad(), ", "tests/distillation/test_objective.py tests/training/test_trainer.py"),
    Fault("the teacher with gradients", OBJECTIVE, "with evaluation_mode(teacher), torch.no_grad(), ", "with evaluation_mode(teacher), ", "tests/distillation/test_objective.py tests/training/test_trainer.py"),
    Fault("a teacher in bfloat16 though its format is named", "recipes/run.py", 'arguments["teacher_bf16"] = False', "pass", "tests/recipes/test_run.py"),
    Fault("the key of a cache without the teacher's products", "training/teacher_cache.py", 'precision = "bf16"', "pass", "tests/training/test_teacher_cache.py"),
    Fault("modules stay in eval mode", OBJECTIVE, "module.training = True", "pass", "tests/distillation/test_objective.py tests/training/test_trainer.py"),
    # Trainer
    Fault("the head does not follow in evaluations", TRAINER, "        self._lead_head()\n        output = super", "        output = super", TESTS_OF_HEADS),
    Fault("the head does not follow in checkpoints", TRAINER, "        self._lead_head()\n        super()._save_checkpoint", "        super()._save_checkpoint", TESTS_OF_HEADS),
    Fault("the head of the best checkpoint is that of the last", TRAINER, "            self._lead_head()\n            return result", "            return result", TESTS_OF_HEADS),
    Fault("a head that a loss trains is made anew", FOLLOWING, "if not (_is_whole(trainer.student) and _is_idle(trainer.student, idle)):", "if False:", TESTS_OF_HEADS),
    Fault("a head follows a layer that is not the last", FOLLOWING, ".get(last) == theirs:", ".get(last) is not None:", TESTS_OF_HEADS),
    Fault("the lightest teacher gives the head", FOLLOWING, "key=lambda one: -one[0]", "key=lambda one: one[0]", TESTS_OF_HEADS),
    Fault("a head that reads something else is taken for the usual one", FOLLOWING, "if not batches and not _makes(teacher, states, seen.logits, batch):", "if False:", TESTS_OF_HEADS),
    Fault("what a user froze is made anew", FOLLOWING, "(_is_whole(trainer.student) and _is_idle(trainer.student, idle))", "_is_idle(trainer.student, idle)", TESTS_OF_HEADS),
    Fault("random numbers are drawn for a head", HEADS, "skip_init(nn.Linear, dense[0].shape[1], dense[0].shape[0], dtype=dense[0].dtype)", "nn.Linear(dense[0].shape[1], dense[0].shape[0], dtype=dense[0].dtype)", TESTS_OF_HEADS),
    Fault("packed weights are read as they are", "distillation/architecture.py", "return weight.is_floating_point() and tuple(weight.shape) == (layer.out_features, layer.in_features)", "return True", TESTS_OF_HEADS),
    Fault("the head forgets the bias of the map", HEADS, "bias + weight @ self.bias", "bias", TESTS_OF_HEADS),
    Fault("units without room are forgotten", HEADS, "bias + weight[:, left] @ entering[:, left].mean(0)", "bias", TESTS_OF_HEADS),
    Fault("the least important units are taken", HEADS, "argsort(descending=True, stable=True)", "argsort(stable=True)", TESTS_OF_HEADS),
    Fault("a head in the teacher's order of labels", HEADS, "(_exact(one)[order] for one in", "(_exact(one) for one in", TESTS_OF_HEADS),
    Fault("relu units are taken for tanh units", HEADS, "if (ours.activation, ours.rectified) == (theirs.activation, theirs.rectified):", "if True:", TESTS_OF_HEADS),
    Fault("first tokens are those of other rows", "distillation/initialization.py", "return lengths.cumsum(0) - lengths", "return lengths.cumsum(0) - 1", "tests/distillation/test_initialization.py"),
    Fault("a fall within chance is warned of", "recipes/report.py", "before - max(rows, 1) ** -0.5", "before", "tests/recipes/test_report.py"),
    Fault("projections are not trained", "training/trainer.py", "self.projections = projections\n", "self.projections = projections.requires_grad_(False)\n", TESTS_OF_TRAINER),
    Fault("each process divides by its own counts", TRAINER, 'totals = self.accelerator.reduce(totals, "sum")', "pass", TESTS_OF_PROCESSES),
    Fault("gradients are the mean of processes, not the sum", TRAINER, "loss = loss * self.args.world_size", "pass", TESTS_OF_PROCESSES),
    Fault("the counts of the last part of a batch alone", TRAINER, "totals += self.distillation_objective", "totals = self.distillation_objective", TESTS_OF_TRAINER),
    Fault("loss weights without effect", TRAINER, "weights[name] * part for", "part for", TESTS_OF_TRAINER),
    Fault("rows that Accelerate repeats count twice", TRAINER, "if own == rows:", "if True:", TESTS_OF_PROCESSES),
    Fault("projections are not saved", TRAINER, "if _internal_call and output_dir is not None", "if not _internal_call and output_dir is not None", TESTS_OF_RESUME),
    Fault("the end of an epoch that was missed is not made up for", BASE, "self.trainer._make_up_for_epoch_end()", "pass", TESTS_OF_RESUME),
    Fault("the end of an epoch is made up for twice", BASE, "self.trainer._epoch_ended = True", "pass", TESTS_OF_RESUME),
    Fault("random numbers of a made-up end are drawn again", BASE, "if not self._made_up:", "if True:", TESTS_OF_RESUME),
    Fault("an evaluation moves the random numbers", BASE, "with unchanged_randomness():\n            metrics", "with torch.enable_grad():\n            metrics", TESTS_OF_RESUME),
    Fault("a run that was stopped early trains on", BASE, "if self.control.should_training_stop or self.state", "if self.state", TESTS_OF_RESUME),
    Fault("a finished run takes one step more", BASE, "if self.control.should_training_stop or self.state.global_step >= self.state.max_steps", "if self.control.should_training_stop", TESTS_OF_RESUME),
    Fault("a first evaluation is repeated on going on", BASE, "if skip_scheduler and self._resumed_from is not None", "if False", TESTS_OF_RESUME),
    Fault("projections are not loaded", TRAINER, "load_whole_state(module, load_file(path))", "pass", TESTS_OF_RESUME),
    Fault("projections at the student's learning rate", TRAINER, '"lr": rate, ', '"lr": self.args.learning_rate, ', TESTS_OF_TRAINER),
    Fault("decay of projections", TRAINER, '"weight_decay": 0.0}', '"weight_decay": 0.1}', TESTS_OF_TRAINER),
    Fault("logged losses are sums of steps", TRAINER, 'list(self._part_sums.values())), "sum") / steps', 'list(self._part_sums.values())), "sum")', TESTS_OF_TRAINER),
    Fault("a row that fills an empty batch counts", TRAINER, "parts = {name: part * 0.0 for name, part in parts.items()}", "pass", TESTS_OF_PROCESSES),
    Fault("the same order of rows in every epoch", BASE, "self.seed * 1_000_003 + self.epoch", "self.seed * 1_000_003", TESTS_OF_TRAINER),
    Fault("the log of a resumed run begins anew", BASE, 'self._tr_loss += sums["loss"]', "pass", TESTS_OF_RESUME),
    Fault("the same masks in every epoch", "training/collators.py", 'f"{seed} {epoch} {len(rows)}"', 'f"{seed} {len(rows)}"', TESTS_OF_RESUME),
    Fault("a loss of NaN goes on", "training/resumable.py", "        if broken:\n            self._stop", "        if not broken and broken:\n            self._stop", TESTS_OF_TRAINER),
    Fault("weights of NaN are saved", BASE, 'check_weights(self.model, f"{name} was to be written")', "pass", TESTS_OF_RESUME),
    Fault("groups of rows from short to long", BASE, "groups = groups[torch.randperm(len(groups), generator=generator)]", "pass", TESTS_OF_TRAINER),
    # Checkpoints, phases, cache
    Fault("an answer is noted for another row of its batch", ANSWERS, "self.index.places_of_rows(identities)", "self.index.places_of_rows(identities)[::-1]", TESTS_OF_CACHE),
    Fault("rows without an answer become zeros in a cache", ANSWERS, "if self._known[first:last].all() and", "if", TESTS_OF_CACHE),
    Fault("answers noted before a stop are forgotten", TRAINER, "self._answers.load(Path(self._resumed_from) / self._answers_file)", "pass", TESTS_OF_CACHE),
    Fault("answers of several processes are summed", ANSWERS, '"sum").cpu() / count[:, None]', '"sum").cpu()', TESTS_OF_PROCESSES),
    Fault("the epochs of a wide student follow its rows", "training/settings.py", "rows if width <= NARROW else None", "rows", "tests/training/test_phases.py"),
    Fault("a fine-tuning of few rows is short", "training/settings.py", "math.ceil(self.rows / rows)", "self.least", "tests/training/test_phases.py"),
    Fault("the epochs of a phase do not count copies", "recipes/plan.py", "None if rows is None else rows + further", "rows", "tests/recipes/test_plan.py"),
    Fault("the student alone learns as long as the last phase", "recipes/plan.py", "epochs=sum(each)", "epochs=max(each)", "tests/recipes/test_plan.py"),
    Fault("a narrow student learns at the rates of a wide one", "training/settings.py", "return narrow if width <= NARROW else wide", "return wide", "tests/training/test_phases.py"),
    Fault("hashes of a checkpoint are not compared", INTEGRITY, 'None if sha256_of(path) == noted["sha256"] else', "None if noted else", TESTS_OF_RESUME),
    Fault("a damaged checkpoint is gone on from", CHECKPOINTS, "        if reason is None:\n            if broken", "        if reason != '':\n            if broken", TESTS_OF_RESUME),
    Fault("a checkpoint is copied, not renamed, into place", CHECKPOINTS, "    place_folder(written, target, replace=True)", "    shutil.copytree(written, target)", TESTS_OF_RESUME),
    Fault("a file is not put onto the disk before it is renamed", INTEGRITY, "            os.fsync(handle.fileno())\n", "", "tests/checkpoints/test_integrity.py"),
    Fault("a folder that could not be replaced is gone", INTEGRITY, "        os.replace(old, target)\n        raise", "        raise", "tests/checkpoints/test_integrity.py"),
    Fault("files in folders of a checkpoint are not noted", CHECKPOINTS, 'write_manifest(written, ("**/*",))', "write_manifest(written)", "tests/training/test_interrupted_runs.py"),
    Fault("a configuration is opened again with the weights", LOADED, '        options["config"] = config', "        pass", "tests/evaluation/test_openings.py"),
    Fault("a record of another version ends in a KeyError", "checkpoints/run_record.py", "except (LookupError, TypeError, AttributeError, ValueError)", "except ZeroDivisionError", "tests/checkpoints/test_run_record.py"),
    Fault("a name in capitals is like no other", "messages.py", "get_close_matches(str(name).lower(), folded", "get_close_matches(str(name), folded", "tests/test_messages.py"),
    Fault("a finished phase is not checked", "training/phases.py", 'fault = file_fault(work / name, {"sha256": digest})', "fault = None", "tests/training/test_phases.py"),
    Fault("a finished phase's student is not loaded", PHASES, "student.load_state_dict(load_file(work / STUDENT_WEIGHTS), strict=False)", "pass", "tests/training"),
    Fault("a cache of something else is found out late", PHASES, "_refuse_other_caches(make, left[1:])", "pass", "tests/training/test_phases.py"),
    Fault("Accelerate wraps what is to be captured", TRAINER, "self.accelerator.state.dynamo_plugin.backend = DynamoBackend.NO", "pass", "tests/training/test_trainer.py"),
    Fault("nothing is compiled", "training/trainer.py", "if not args.torch_compile:", "if True:", "tests/training/test_trainer.py"),
    Fault("the next phase begins with new projections", PHASES, "projections=that_fit(projections, student, teacher, phase)", "projections=None", "tests/training"),
    Fault("a cache of another teacher is used", CACHE, '"teacher_weights": weights.hexdigest()', '"teacher_weights": ""', "tests/training/test_teacher_cache.py"),
    Fault("answers of the neighbouring row", CACHE, "start, count = int(starts[place]), int(counts[place])", "start, count = int(starts[place - 1]), int(counts[place])", "tests/training/test_teacher_cache.py"),
    # What a run goes on with, its best checkpoint, who holds its folder
    Fault("a teacher that was trained further is gone on with", "training/checkpoints.py", 'if not same_weights(before["weights"], after["weights"]):', "if False:", TESTS_OF_ORIGIN),
    Fault("rows in another order are gone on with", "training/checkpoints.py", 'elif _known(before["content"], after["content"]):', "elif False:", TESTS_OF_ORIGIN),
    Fault("any weights in another number format are the same", "data/shards.py", "2**-8, 1e-6", "2**8, 1e-6", TESTS_OF_ORIGIN),
    Fault("a recipe's teacher that was exchanged in its place", "recipes/folder.py", "    lines = exchanged + [", "    lines = [", "tests/recipes/test_plan.py"),
    Fault("the figures of the last weights, not of the best", "training/finetuning.py", "best_step(trainer) or trainer.state.global_step", "trainer.state.global_step", TESTS_OF_BEST),
    Fault("the last projections beside the best student", TRAINER, "self._load_beside_the_student(best)", "pass", TESTS_OF_BEST),
    Fault("a metric of a head that does not learn", "training/arguments.py", "if learns_answers(losses) or name in", "if True or name in", TESTS_OF_BEST),
    Fault("patience begins anew after a stop", "training/arguments.py", "callback.early_stopping_patience_counter = count", "pass", TESTS_OF_BEST),
    Fault("the second run in a folder is not told", "data/shards.py", "            if not _is_gone(holder):", "            if False:", "tests/data/test_held_folder.py"),
    Fault("a tied weight in two groups of FSDP2", "training/trainer.py", "return None if self.is_sharded else self.student.get_output_embeddings()", "return self.student.get_output_embeddings()", TESTS_OF_PROCESSES),
    # Rows that are held out
    Fault("held-out rows are learnt from too", "data/tasks.py", "if row not in held_out], sorted", "], sorted", "tests/data/test_shared_rows.py"),
    Fault("every reading holds out other rows", "data/tasks.py", "random.Random(settings.split_seed)", "random.Random()", "tests/data/test_shared_rows.py"),
    Fault("a learning rate on the command line changes nothing", "cli/distill.py", 'for name in ("learning_rate",) if', "for name in () if", "tests/cli/test_commands.py"),
    # Rows without labels
    Fault("rows without labels are not learnt from", "recipes/labelled.py", "parts.append(self.plan.data.unlabelled)", "pass", "tests/recipes/test_unlabelled.py"),
    Fault("copies are not learnt from", "recipes/labelled.py", "parts.append(read_copies(parts[0].features, self._copies))", "pass", "tests/recipes/test_augmentation.py"),
    Fault("words of later windows are never replaced", "recipes/augmentation.py", "sys.maxsize if in_windows else recipe.data.max_length", "recipe.data.max_length", "tests/recipes/test_word_runs.py"),
    Fault("another file without labels goes unnoticed", "recipes/plan.py", "(recipe.data.unlabelled_file, recipe.data.text_corpus,", "(recipe.data.text_corpus,", "tests/recipes/test_unlabelled.py"),
    Fault("another corpus goes unnoticed", "recipes/plan.py", "(recipe.data.unlabelled_file, recipe.data.text_corpus,", "(recipe.data.unlabelled_file,", "tests/data/test_text_corpus.py"),
    Fault("sentences that are measured on are taken", "data/text_corpus.py", "elif key in measured:", "elif False:", "tests/data/test_text_corpus.py"),
    Fault("a sentence is taken as often as it is there", "data/text_corpus.py", "seen.add(hash(key))", "pass", "tests/data/test_text_corpus.py"),
    Fault("the first sentences of a corpus are taken", "data/text_corpus.py", "kept[place] = number, row", "pass", "tests/data/test_text_corpus.py"),
    Fault("neighbours of two documents are a pair", "data/text_corpus.py", "elif before is not None and not begins:", "elif before is not None:", "tests/data/test_text_corpus.py"),
    Fault("sentences of any length are taken", "data/text_corpus.py", "len(part) <= lengths[1]", "True", "tests/data/test_text_corpus.py"),
    Fault("a corpus in another script is not said", "data/text_corpus.py", "there is not None and here != there", "False", "tests/data/test_text_corpus.py"),
    Fault("threads that open models untie later ones", "checkpoints/loading.py", "with _OPENING, refusing", "with refusing", "tests/checkpoints/test_models.py"),
    Fault("a kept column is not part of what a stopped file is", "evaluation/classifying.py", '"keep_columns": list(keep_columns),', "", "tests/evaluation/test_classifying.py"),
    # Model
    Fault("the decoder reads the token that it is to write", TRANSLATOR, "shifted[:, 1:] = labels[:, :-1]", "shifted[:, :-1] = labels[:, 1:]", TESTS_OF_MODEL),
    Fault("the decoder sees the source's padding", TRANSLATOR, "encoder_attention_mask=attention_mask", "encoder_attention_mask=None", TESTS_OF_MODEL),
    Fault("a plain step looks at the source's padding", TRANSLATOR, "source.keys, source.values, attn_mask=mask", "source.keys, source.values", TESTS_OF_MODEL),
    Fault("a plain step stays at the first place", TRANSLATOR, "weight[cache.get_seq_length()]", "weight[0]", TESTS_OF_MODEL),
    Fault("a plain step skips the feed-forward part", TRANSLATOR, "hidden = layer.feed_forward_chunk(hidden)", "pass", TESTS_OF_MODEL),
    Fault("a plain step where attentions are asked for", TRANSLATOR, "self.training or options or config", "self.training or config", TESTS_OF_MODEL),
    Fault("a padded target counts in the translator's loss", TRANSLATOR, "ignore_index=-100", "ignore_index=-1", TESTS_OF_MODEL),
    Fault("the accumulated count is not used", MODEL, "return total / num_items_in_batch", "return total / labels.numel()", TESTS_OF_MODEL),
    Fault("ReLU in the wrong classifiers", MODEL, 'config.classifier_activation == "relu"', 'config.classifier_activation != "relu"', TESTS_OF_MODEL),
    Fault("the Trainer's accumulation is multiplied", MODEL, "    accepts_loss_kwargs = False", "    accepts_loss_kwargs = True", TESTS_OF_MODEL),
    Fault("target embeddings are not tied", TRANSLATOR, 'if which == "target" else {}', 'if which == "targets" else {}', TESTS_OF_MODEL),
    # What is said of a run
    Fault("a share of a teacher that knows nothing", "messages.py", "if student < 0 or teacher < _NOTHING.get(metric, _NEXT_TO_NOTHING):", "if False:", TESTS_OF_CARDS),
    Fault("names are written into Markdown as they are", "checkpoints/card_parts.py", 'return _SIGNS.sub(lambda sign: "\\\\" + sign.group(), plain(text).strip())', "return plain(text).strip()", TESTS_OF_CARDS),
    Fault("one of two licenses is taken", "checkpoints/card_parts.py", "all(one == licenses[0] for one in licenses)", "licenses", TESTS_OF_CARDS),
    Fault("every round begins with the same model", "evaluation/cost.py", "[:: -1 if number % 2 else 1]", "[::1]", TESTS_OF_SPEED),
    Fault("a slow forward spoils the latency", "evaluation/cost.py", "1000 * statistics.median(self.all_wall)", "1000 * statistics.fmean(self.all_wall)", TESTS_OF_SPEED),
    Fault("the threads of the process time the models", "evaluation/cost.py", "torch.inference_mode(), limited_threads(threads):", "torch.inference_mode():", TESTS_OF_SPEED),
    Fault("a reader waits for three rounds of a slow model", "evaluation/cost.py", "limit = seconds if number >= MIN_ROUNDS else patience", "limit = seconds if number >= MIN_ROUNDS else math.inf", "tests/publishing/demo/test_answers.py"),
    Fault("a logarithmic scale is even", "publishing/report_pictures.py", "        if self.logarithmic:\n            share", "        if False:\n            share", "tests/publishing/report/test_pictures.py"),
    Fault("a space says nothing of its search", "publishing/space.py", '        "beams": contest.num_beams,\n', "", "tests/publishing/demo/test_space.py"),
    # The demo's sentences
    Fault("two things are counted with the number", "data/demo_translation.py", "two / 两", "two / 二", "tests/data/test_demo_translation.py"),
    Fault("a counted thing without its measure word", "data/demo_translation.py", 'zh=f"{many.zh}{noun.measure}{thing}"', 'zh=f"{many.zh}{thing}"', "tests/data/test_demo_translation.py"),
    Fault("a demo's validation row is trained on", "data/demo.py", "reserved = max(sizes[1], validation)", "reserved = validation", "tests/data/test_demo_translation.py"),
    # What is opened
    Fault("a body of which tensors are missing is opened", LOADED, "    if body:\n        raise kind(_incomplete", "    if False:\n        raise kind(_incomplete", TESTS_OF_OPENING),
    Fault("half a head is a new one", LOADED, "    if lost:", "    if False:", TESTS_OF_OPENING),
    Fault("body weights without a place are dropped", LOADED, "body = [key for key in unexpected if names.in_body(key)]", "body: list[str] = []", TESTS_OF_OPENING),
    Fault("head weights without a place are dropped", LOADED, "if odd and not new_head:", "if False:", TESTS_OF_OPENING),
    Fault("an encoder keeps a random pooler", LOADED, "model.pooler = None", "pass", TESTS_OF_OPENING),
    Fault("a translator without the bias it was trained with is opened", LOADED, "if name != tensor]", "]", TESTS_OF_OPENING),
    Fault("weights of NaN are opened", LOADED, "bool(one.isnan().any())", "False", TESTS_OF_OPENING),
    Fault("a random pooler under a trained head is not said", LOADED, "elif missing and not names.is_body", "elif False and not names.is_body", TESTS_OF_OPENING),
    Fault("a tokenizer is what its class makes", FILE, "    if not found:\n        return tokenizer", "    if True:\n        return tokenizer", TESTS_OF_OPENING),
    Fault("tokenizers are compared on cut texts", FILE, "    backend.no_truncation()\n    backend.no_padding()\n    try:", "    try:", TESTS_OF_OPENING),
    Fault("two segments are lost with the class", FILE, 'names.insert(1, "token_type_ids")', "pass", TESTS_OF_OPENING),
    Fault("half precision is compared in itself", "conversion/export/source.py", '_DTYPE = "float32"', "_DTYPE = None", "tests/conversion/export/test_exporting.py"),
    # The start from the teacher
    Fault("a start that forgets the scaling of scores", "distillation/initialization.py", "* (their_width**-0.5 / theirs_in_group) * our_width**0.5", "", "tests/distillation/test_initialization.py"),
    # What labels mean
    Fault("nan among numbers is a class", VALUES, "if odd and all(", "if False and all(", TESTS_OF_LABELS),
    Fault("the only text among numbers is a class", VALUES, "    if not known and not lists:\n        odd |=", "    if False:\n        odd |=", TESTS_OF_LABELS),
    Fault("one fraction makes classes a regression", VALUES, 'if kind == "number" and trained_on_whole', "if False", TESTS_OF_LABELS),
    Fault("a header in the middle is a row", "data/tables.py", "if len(self.cells) < _FEWEST_NAMES:", "if True:", "tests/data/test_files.py"),
    Fault("any temperature is taken", "errors.py", "not _COLDEST <= value <= _HOTTEST", "False", "tests/distillation/test_objective.py"),
    Fault("spaces make other classes", VALUES, "new = [item.strip() if", "new = [item if", TESTS_OF_LABELS),
    Fault("decimals stay numbers where classes are named", VALUES, "or (wanted is None and len(known) > 1)", "or False", TESTS_OF_LABELS),
    Fault("0,2 is read as a tuple", VALUES, 'if not text.startswith(("[", "(", "{", "set(")):', "if False:", TESTS_OF_LABELS),
    Fault("numbers are places where the names are these numbers", NAMES, "if None not in values and", "if False and", TESTS_OF_LABELS),
    Fault("twins are not named", NAMES, "if len(group) > 1 and", "if len(group) > 9 and", TESTS_OF_LABELS),
    Fault("-1 is never a class by itself", "data/labels.py", "(min(set(found) - {-100}) < -1 or", "(False and", TESTS_OF_LABELS),
    Fault("lists of ids are flags of one place", "data/labels.py", "flags and (widths != {1} or bool(known))", "flags", TESTS_OF_LABELS),
    Fault("a teacher of another problem type teaches", TEACHER, "if problem_type_of(student) == problem_type_of(teacher):", "if True:", "tests/distillation/test_objective.py"),
    Fault("all labels always is no trivial answer", TEACHER, "best = max(best, 2 * right", "best = max(0.0, 2 * right", "tests/evaluation/test_useless_figures.py"),
    Fault("the teacher does not say what the labels are", "recipes/labelled.py", "task.load(replace(recipe.data, problem_type=problem))", "task.load(recipe.data)", "tests/recipes/test_plan.py"),
    Fault("classes that nobody has count in macro F1", "evaluation/metrics.py", 'predictions, average="macro", zero_division=0)\n    classes', 'predictions, labels=range(num_labels), average="macro", zero_division=0)\n    classes', "tests/evaluation/test_metrics.py"),
    Fault("short translations know nothing", "evaluation/translation.py", "or chrf >= NOTHING_LIKE_IT", "or False", "tests/evaluation/test_useless_figures.py"),
    Fault("a word twice shifts the vectors", "data/augmentation_candidates.py", "reason = _TWICE if word in seen else None", "reason = None", "tests/data/augmentation/test_neighbours.py"),
    # What a tokenizer gives, and the tables of a model
    Fault("RoBERTa's positions begin at the first row", LIMITS, "if padding is None else int(padding) + 1", "if padding is None else 0", TESTS_OF_LIMITS),
    Fault("a length above the model's is kept", LIMITS, "tokenizer.model_max_length > limits.positions", "tokenizer.model_max_length > 10**6", TESTS_OF_LIMITS),
    Fault("segments for a model that has one", LIMITS, "limits.segments in (0, 1)", "limits.segments == 0", TESTS_OF_LIMITS),
    Fault("padding stays on the side that the head looks at", LIMITS, 'side = "left" if limits.pads_left else "right"', "side = tokenizer.padding_side", TESTS_OF_LIMITS),
    Fault("tokens are counted, and their ids not looked at", LIMITS, "sorted(index for index in ids if not 0 <= index < rows)\n        if beyond:\n            named", "[rows] * (len(ids) > rows)\n        if beyond:\n            named", TESTS_OF_LIMITS),
    Fault("a tokenizer's settings are changed, and not what is saved", LIMITS, "{}), **settings}  # what is saved", "{})}", TESTS_OF_LIMITS),
    Fault("padding takes positions of a RoBERTa", LIMITS, "ids.shape[1] if limits.no_place is None else", "ids.shape[1] if True else", TESTS_OF_LIMITS),
    Fault("a class without a family leaves segments out", LIMITS, "    if not any(given):", "    if any(given):", TESTS_OF_LIMITS),
    Fault("a word becomes the padding token", LIMITS, 'getattr(tokenizer, "added_tokens_decoder", {}).get(index)', "tokenizer.convert_ids_to_tokens(index or 0)", TESTS_OF_LIMITS),
    Fault("one segment's student is given the teacher's two", CAPTURE, "without_unread_segments(model, batch).items()", "batch.items()", TESTS_OF_TRAINER),
    Fault("rows are not looked at before training", TRAINER, "check_rows(self.student, self.teacher, examples, self.processing_class)", "pass", TESTS_OF_TRAINER),
    Fault("the batch size changes a figure", "evaluation/evaluate.py", "padding = with_fitting_settings(processing_class, limits)", "padding = processing_class", "tests/evaluation/test_checkpoint.py"),
    Fault("the saved tokenizer is the teacher's, whatever the student has", "recipes/run.py", "save_tokenizer(self.student_tokenizer, student, self.folder.work / STUDENT)", "self.student_tokenizer.save_pretrained(self.folder.work / STUDENT)", "tests/cli/test_input_limits.py"),
    # Files of rows
    Fault("a line with two objects is a row", "data/raw_rows.py", 'text.count("\\n{") != feeds', "False", "tests/data/test_files.py"),
    Fault("an absent value that Arrow makes null", "data/raw_rows.py", " or any(column.null_count for column in table.columns)", "", "tests/data/test_files.py"),
    Fault("a name that stands in a row twice", "data/raw_rows.py", "if sound and sum(map(len, rows)) == colons:", "if sound:", "tests/data/test_files.py"),
    Fault("ragged rows begin a quoted one", "data/tables.py", "self._quoted_row(line) if is_open and not opened else None", "self._quoted_row(line) if is_open else None", "tests/data/test_files.py"),
    Fault("cells behind the header are left out", "data/tables.py", "and not any(map(str.strip, cells[width:]))", "and True", "tests/data/test_files.py"),
    Fault("a quoted text is never looked at for rows", "data/tables.py", "self._doubt(cells, start)", "pass", "tests/data/test_files.py"),
    Fault("a gzip file may unpack without end", "data/raw_rows.py", "return unpacked > max(UNPACKED_ANYWAY, MOST_UNPACKED * packed)", "return False", "tests/data/test_files.py"),
    Fault("texts that datasets has changed are taken", "data/tables.py", "if not isinstance(one, list | dict)", "if False", "tests/data/test_files.py"),
    # Opened by other programs
    Fault("the mask of an ONNX graph is no choice", "conversion/export/onnx_graph.py", 'to=TensorProto.BOOL), graph.numbers(1, 2))', 'to=TensorProto.FLOAT), graph.numbers(1, 2))', "tests/conversion/export/test_encoder_graph.py"),
    Fault("an ONNX export says that it is a TinyBERT", "conversion/export/files.py", 'if source.model.config.model_type != "tinybert" or _misfit(source) is not None:', "if True:", "tests/conversion/export/test_exporting.py"),
    Fault("a published classifier's ONNX export says that it is a stock BERT", "conversion/export/files.py", 'if source.model.config.model_type != "tinybert" or _misfit(source) is not None:', 'if source.model.config.model_type != "tinybert":', "tests/conversion/export/test_exporting.py"),
    Fault("a stock BERT does not say that its positions are absolute", "conversion/export/files.py", 'model.config.position_embedding_type = "absolute"', "pass", "tests/conversion/export/test_exporting.py"),
    Fault("a stock BART leaves the type of its tokens out", "conversion/export/files.py", "table.position_embeddings.weight + table.token_type_embeddings.weight[0]", "table.position_embeddings.weight", "tests/conversion/export/test_bart.py"),
    Fault("a stock BART ends with a token of its own", "conversion/export/files.py", "forced_eos_token_id=None,", "forced_eos_token_id=2,", "tests/conversion/export/test_bart.py"),
    Fault("a stock BART's places are one off", "conversion/export/files.py", "_UNUSED_PLACES = 2", "_UNUSED_PLACES = 1", "tests/conversion/export/test_bart.py"),
    Fault("a stock BART drops the target's own words", "conversion/export/files.py", 'if config.tied_embeddings != "all":', "if False:", "tests/conversion/export/test_bart.py"),
    Fault("weights in a folder of an export are not compared", INTEGRITY, '_OF_WEIGHTS = (".", "onnx")', '_OF_WEIGHTS = (".",)', "tests/conversion/export/test_exporting.py"),
    Fault("a saved tokenizer pads as the last call did", FILE, '"padding": None,', '"padding": content.get("padding"),', "tests/checkpoints/test_tokenizers.py"),
    Fault("a saved tokenizer cuts as the last call did", FILE, '"truncation": _truncation(settings),', '"truncation": content.get("truncation"),', "tests/checkpoints/test_tokenizers.py"),
    Fault("accents are left to the letters' case", FILE, '"strip_accents": lower if stripped is None else stripped', '"strip_accents": stripped', "tests/checkpoints/test_tokenizers.py"),
    Fault("a tokenizer that transformers 4 does not know", FILE, 'if settings.get("tokenizer_class") == "TokenizersBackend":', "if False:", "tests/checkpoints/test_tokenizers.py"),
    Fault("a file of the family does not name the others", MODEL, "    from .modeling_tinybert_seq2seq import TinyBertForSeq2Seq  # noqa: F401", "    pass", "tests/model/test_remote_code.py"),
    Fault("the padding token of a made translator is trained", "training/finetuning.py", "    changed[row] = 0\n", "", "tests/training/test_seq2seq_trainer.py"),
    Fault("a plain generate of a made translator ends at 20 tokens", "training/finetuning.py", "        settings.max_length = int(limit)\n", "        pass\n", "tests/training/test_seq2seq_trainer.py"),
    Fault("<pad> of a shared vocabulary is its first token", "data/tokenizers.py", "    if pad_last:\n", "    if False:\n", "tests/data/test_translation_tokenizer.py"),
    Fault("the card of an export opens it with transformers", "checkpoints/card_parts.py", 'return None if self.export is None else self.export.get("runtime")', "return None", "tests/conversion/export/test_exporting.py"),
    Fault("ranges depend on the order of the rows", "conversion/export/sample.py", "return sorted(texts, key=lambda text: sha256(text.encode()).digest())[:CALIBRATED]", "return list(texts)[:CALIBRATED]", "tests/conversion/export/test_sample.py"),
    Fault("ranges are set by the shortest rows first", "conversion/export/sample.py", "return sha256(json.dumps(", "return bytes([len(row['input_ids'])]) + sha256(json.dumps(", "tests/conversion/export/test_sample.py"),
    Fault("ranges are set by made-up texts", "conversion/export/sample.py", "    if calibrated:\n", "    if False:\n", "tests/conversion/export/test_sample.py"),
    Fault("ranges of pairs are set by their first texts", "conversion/export/sample.py", "sample.rows, source.tokenizer, replace(sample.settings,", 'sample.rows.remove_columns([one for one in sample.rows.column_names if one == "text_pair"]), source.tokenizer, replace(sample.settings,', "tests/conversion/export/test_sample.py"),
    Fault("int8 of OpenVINO takes translators", "conversion/export/exporting.py", "if chosen.no_translators is not None]", "if chosen.fixed_lengths]", "tests/conversion/export/test_sample.py"),
    Fault("a second format is opened as the first", "checkpoints/exported.py", '    return {**note, "graphs": None, **_others(note)[format]}', "    return note", "tests/conversion/export/test_exporting.py"),
    Fault("formats that overwrite each other share a folder", "conversion/export/__init__.py", "(len(layouts) > 1 or None in layouts)", "False", "tests/conversion/export/test_exporting.py"),
    Fault("a translator's formats share a folder", "conversion/export/exporting.py", "    if len(formats) > 1:", "    if False:", "tests/conversion/export/test_exporting.py"),
    Fault("a second format that lost too much says nothing", "conversion/export/exporting.py", "            yield from other.warnings()", "            pass", "tests/cli/test_export.py"),
    Fault("evaluate measures the first format of a folder", "checkpoints/loading.py", "threads=threads, format=self.format)", "threads=threads)", "tests/cli/test_export.py"),
    Fault("a push leaves the graph of an export out", "publishing/hub.py", "place / ONNX_FOLDER, ", "", "tests/publishing/hub/test_push.py"),
    Fault("a push without the model's file goes on", "publishing/hub.py", "if missing or not any(", "if not any(", "tests/publishing/hub/test_push.py"),
    Fault("entities are cut into pieces in the card's example", "checkpoints/card_parts.py", """', aggregation_strategy="first"' if""", """', aggregation_strategy="simple"' if""", "tests/checkpoints/test_run_card.py"),
    # A student by its speed, processes that write, columns of other tasks
    Fault("an old manifest is the end of the first process", "data/shards.py", "    return note.exists() and parts.with_name(parts.name.removesuffix(PARTS)).exists()", "    return note.exists()", "tests/data/test_pseudo_labels.py"),
    Fault("a process that comes late writes its answers again", "evaluation/classifying.py", "if not share.is_first and _stamp(output) != was_there:", "if False:", "tests/evaluation/test_classifying.py"),
    Fault("a classifier is packed with another model's files", "evaluation/classifying.py", 'if folder_stamps(self._given["model"]) != self._stamps:', "if False:", "tests/evaluation/test_classifying.py"),
    Fault("the smallest preset is taken", "recipes/budget.py", "preset=fast[0])", "preset=fast[-1])", "tests/recipes/test_budget.py"),
    Fault("a run that goes on chooses anew", "recipes/budget.py", "kept = folder.result_of(CHOICE) or", "kept = None and", "tests/recipes/test_budget.py"),
    Fault("the slowest forward decides", "recipes/budget.py", "1000 * min(one.all_cpu", "1000 * max(one.all_cpu", "tests/recipes/test_budget.py"),
    Fault("a preset of other heads is timed", "recipes/budget.py", "not many % few", "True", "tests/recipes/test_budget.py"),
    Fault("lists of texts are read across row groups", "data/tables.py", "    for group in range(file.metadata.num_row_groups):\n        yield from file.iter_batches(rows_at_once, row_groups=[group], columns=names)", "    yield from file.iter_batches(rows_at_once, columns=names)", "tests/data/test_files.py"),
    Fault("an interrupted forward counts as a slow one", "recipes/budget.py", "one.all_cpu if on_cpu else one.all_wall", "one.all_wall", "tests/recipes/test_budget.py"),
    Fault("a run that began without copies is refused", "recipes/plan.py", "recipe = with_learning_rates(_as_begun(recipe))", "recipe = with_learning_rates(recipe)", "tests/recipes/test_augmentation.py"),
    Fault("each process chooses a student", "recipes/schema.py", 'if int(os.environ.get("WORLD_SIZE", "1")) > 1:', "if False:", "tests/recipes/test_budget.py"),
    Fault("every process rewrites a checkpoint's tokenizer", "training/resumable.py", "if self.args.should_save:  # transformers 5 calls this in every process", "if True:", "tests/training/test_trainer.py"),
    Fault("a column of another task is passed over", "recipes/schema.py", "for name in set(other.columns) - set(spec.columns):", "for name in ():", "tests/recipes/test_plan.py"),
    Fault("any learning rate will do", "training/settings.py", "_HIGHEST_RATE = 1.0", "_HIGHEST_RATE = 1e9", "tests/recipes/test_plan.py"),
    Fault("a head that is left behind judges", "training/trainer.py", "if idle and self._following is None and", "if False and", "tests/training/test_best_model.py"),
)  # fmt: skip
