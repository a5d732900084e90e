"""Steps of the rivals, compared with a few lines written from each paper, and what moves between steps."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from rival_papers import (
    BESIDE,
    CLASSES,
    GUESSED_ON,
    LABELED,
    PAPERS,
    PRETRAINED,
    QUEUE,
    SETTINGS,
    UNLABELED,
    batch_for,
    entropy,
    guess,
    method_of,
    moco,
    state,
)
from torch import nn
from torch.testing import assert_close

from fertrain.config.run import OptimConfig
from fertrain.training.optim import Stepper, optimizer_for


@pytest.mark.parametrize("step", [6, 8, 12])
@pytest.mark.parametrize("case", SETTINGS)
def test_a_step_has_the_loss_and_the_gradients_of_its_paper(case, step):
    method = method_of(case)
    paper, batch = deepcopy(method), batch_for(method, step)
    expected, _ = PAPERS[case](paper, batch)
    found = method.loss(batch).loss
    assert_close(found, expected)
    expected.backward()
    found.backward()
    a, b = ({k: p.grad for k, p in m.module.named_parameters()} for m in (method, paper))
    assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", SETTINGS)
def test_sams_second_look_learns_the_targets_of_the_first_and_nothing_moves_twice(case):
    method, once = method_of(case), method_of(case)
    batch, paper, others = batch_for(method, 12), PAPERS[case], []
    stepper = Stepper(optimizer_for(method.module, method.phases[0], OptimConfig()), method.module, sam_rho=1.0)
    _, targets = paper(deepcopy(method), batch)

    def look():
        expected, _ = paper(deepcopy(method), batch, targets)
        others.append((paper(deepcopy(method), batch)[0] - expected).abs().item() > 0.01)
        output = method.loss(batch)
        assert_close(output.loss, expected)
        output.loss.backward()
        return output

    stepper(look, 0.0)  # a rate of 0: only what is not learned can move
    method.after_step()
    assert others == [False, case in BESIDE]  # found anew, a network's own guesses would be others
    once.loss(batch)
    once.after_step()
    assert_close(state(method), state(once), atol=0, rtol=0)


@pytest.mark.parametrize("case", SETTINGS)
def test_a_budget_counts_every_image_that_passes_and_targets_are_found_once_a_step(case):
    method, looks = method_of(case), []
    batch = batch_for(method, 6)

    def count(_, images, __):
        looks[-1][torch.is_grad_enabled()] += len(images[0])

    for layer in method.module.modules():
        if isinstance(layer, nn.Flatten):  # the first of each network
            layer.register_forward_hook(count)
    for ends in (False, True, True):
        looks.append([0, 0])
        method.loss(batch)
        if ends:
            method.after_step()
    guessed = GUESSED_ON.get(case, 0) * UNLABELED
    learned = len(batch.images) + method.phases[0].views.passes(UNLABELED) - guessed
    assert looks == [[guessed, learned], [0, learned], [guessed, learned]]


# what moves between steps


@pytest.mark.parametrize(
    ("case", "done", "m"), [("moco", 0.9, 0.8), ("byol", 0.0, 0.8), ("byol", 0.5, 0.9), ("byol", 1.0, 1.0)]
)
def test_a_network_follows_after_each_step_with_its_papers_momentum(case, done, m):
    method = method_of(case)
    slow, own = (method.key, method.query) if case == "moco" else (method.target, method.online)
    before = [p.clone() for p in slow.parameters()]
    method.loss(batch_for(method, 6, done))
    for p in own.parameters():
        nn.init.normal_(p)  # the optimizer's step
    method.after_step()
    expected = [m * a + (1 - m) * b for a, b in zip(before, own.parameters(), strict=True)]
    assert_close(list(slow.parameters()), expected)


def test_mocos_queue_is_the_last_keys_before_a_step_and_after_it():
    method = method_of("moco", steps=0)
    keys = method.queue.keys.clone()
    for step, n in enumerate([9, 9, 9, 9, 25, 9, 9]):  # 20 are kept
        batch = batch_for(method, step, unlabeled=n)
        keys = torch.cat([keys, moco(deepcopy(method), batch)[1]])
        method.loss(batch)
        assert_close(sorted(method.queue.keys.tolist()), sorted(keys[-n - QUEUE : -n].tolist()))
        method.after_step()
        assert_close(sorted(method.queue.keys.tolist()), sorted(keys[-QUEUE:].tolist()))


def test_flexmatch_remembers_the_last_confident_guess_of_each_image():
    method = method_of("flexmatch", steps=0)
    known, counted = [-1] * (2 * UNLABELED), []
    for step in range(7):
        batch = batch_for(method, step)
        q = guess(deepcopy(method), batch.unlabeled.weak[0])
        assert_close(method.memory.classes.tolist(), known)
        for row, p in zip(batch.unlabeled.rows.tolist(), q, strict=True):
            known[row] = int(p.argmax()) if p.max() >= SETTINGS["flexmatch"].threshold else known[row]
        counted.append(method.loss(batch).shares["counted"])
        method.after_step()
        assert method.memory.classes.tolist() == known
    assert counted[0] == 1  # thresholds begin at 0
    assert min(counted) < 1
    assert len(set(known)) > 2


def test_freematchs_and_softmatchs_averages_take_each_step_once():
    free, soft = method_of("freematch", steps=0), method_of("softmatch", steps=0)
    tau, shares, mean, variance = 0.25, torch.full((CLASSES,), 0.25), 0.25, 1.0
    for step in range(4):
        batch = batch_for(free, step)
        q, other = (guess(deepcopy(m), batch.unlabeled.weak[0]) for m in (free, soft))
        tau = 0.8 * tau + 0.2 * q.amax(dim=1).mean().item()
        # the first batch is all that is known of the classes
        shares = other.mean(dim=0) if step == 0 else 0.8 * shares + 0.2 * other.mean(dim=0)
        aligned = other / shares
        most = (aligned / aligned.sum(dim=1, keepdim=True)).amax(dim=1)
        mean, variance = 0.8 * mean + 0.2 * most.mean().item(), 0.8 * variance + 0.2 * most.var().item()
        for method in (free, soft):
            method.loss(batch)
            method.after_step()
        assert free.averages.confidence.item() == pytest.approx(tau, rel=1e-4)
        assert_close(soft.confidence.shares, shares)
        assert soft.confidence.mean.item() == pytest.approx(mean, rel=1e-4)
        assert soft.confidence.variance.item() == pytest.approx(variance, rel=1e-4)


def test_remixmatchs_shares_are_of_the_last_128_steps_and_even_at_the_start():
    method = method_of("remixmatch", steps=0)
    labels = guesses = torch.full((128, CLASSES), 1 / CLASSES)
    for step in range(131):
        batch = batch_for(method, step)
        labels = torch.cat([labels, batch.targets.mean(dim=0, keepdim=True)])
        guesses = torch.cat([guesses, guess(deepcopy(method), batch.unlabeled.weak[0]).mean(dim=0, keepdim=True)])
        method.loss(batch)
        method.after_step()
        assert_close(method.shares.labels.mean(dim=0), labels[-128:].mean(dim=0))
        assert_close(method.shares.guesses.mean(dim=0), guesses[-128:].mean(dim=0))


def test_ada_cms_margins_are_of_the_confidences_of_the_epoch_before():
    method, s = method_of("ada-cm", steps=0), SETTINGS["ada-cm"]
    margins = [s.margin] * CLASSES
    for epoch in range(3):
        confidences = [[] for _ in margins]
        for step in range(3):
            batch = replace(batch_for(method, 3 * epoch + step), epoch=epoch)
            said = deepcopy(method).model(torch.cat([batch.images, *batch.unlabeled.weak, *batch.unlabeled.strong]))
            for p, y in zip(said[:LABELED].softmax(dim=1), batch.targets, strict=True):
                if p.argmax() == y.argmax():
                    confidences[p.argmax()].append(p.max().item())
            method.loss(batch)
            method.after_step()
            assert method.margins.current.tolist() == pytest.approx(margins)
        rise = s.beta / (1 + math.exp(-epoch - 1))
        margins = [max(s.margin, rise * sum(c) / max(1, len(c))) for c in confidences]
        assert len(set(margins)) > 2


@pytest.mark.parametrize("case", SETTINGS)
def test_every_phase_runs_at_the_runs_own_rate(case):
    phases = [(p.name, p.lr, p.labeled, p.judged) for p in method_of(case, steps=0).phases]
    pretrained = [("pretrain", 0.3, False, False), ("supervised", 0.3, True, True)]
    assert phases == (pretrained if case in PRETRAINED else [(case.split(",")[0], 0.3, True, True)])


@pytest.mark.parametrize("case", PRETRAINED)
def test_after_pre_training_labels_are_learned_alone_and_nothing_follows(case):
    method, batch = method_of(case), replace(batch_for(method_of("fixmatch", steps=0), 6), unlabeled=None)
    method.begin(method.phases[1])
    assert_close(method.loss(batch).loss, entropy(batch.targets, deepcopy(method).model(batch.images)).mean())
    before = state(method)
    method.after_step()
    assert_close(state(method), before, atol=0, rtol=0)
