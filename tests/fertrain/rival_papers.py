"""Steps of the rivals, compared with a few lines written from each paper: the whole loss, with all settings.

A reference takes a copy of the method, a batch, and targets, which it computes if none are given; it returns the loss
and the targets. It uses queue, means, margins and momentum networks as they are; their updates are tested with the
methods. The network is one layer with batch normalization, so that the composition of a batch matters. It has trained
for six steps, so that no state has its initial value.
"""

from dataclasses import replace

import torch
from torch import nn

from fertrain.config import methods as settings
from fertrain.config.run import OptimConfig, RunConfig
from fertrain.losses.pseudo_label import turned
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch, Unlabeled
from fertrain.models.classifier import Classifier
from fertrain.transforms.mixup import mixup

CLASSES, LABELED, UNLABELED, QUEUE = 4, 6, 9, 20
# none is at its default, no two of a method are alike
SETTINGS = {
    "fixmatch": settings.FixMatchConfig(threshold=0.7, weight=0.6),
    "flexmatch": settings.FlexMatchConfig(threshold=0.75, weight=0.6),
    "freematch": settings.FreeMatchConfig(momentum=0.8, weight=0.6, fairness_weight=0.4),
    "softmatch": settings.SoftMatchConfig(momentum=0.8, weight=0.6, narrow=1.5),
    "uda": settings.UdaConfig(threshold=0.7, temperature=0.3, weight=0.6),
    "uda, annealed": settings.UdaConfig(threshold=0.7, temperature=0.3, weight=0.6, tsa="linear"),
    "mixmatch": settings.MixMatchConfig(guesses=3, temperature=0.4, alpha=0.6, weight=5.0, rise=10),
    "remixmatch": settings.ReMixMatchConfig(
        views=3, temperature=0.4, alpha=0.6, weight=1.3, unmixed_weight=0.7, rotation_weight=0.3, rise=10
    ),
    "ada-cm": settings.AdaCmConfig(
        margin=0.4, beta=0.95, labeled_weight=0.6, confident_weight=1.1, contrast_weight=0.3, tau=0.25
    ),
    "simclr": settings.SimClrConfig(dim=5, tau=0.3),
    "moco": settings.MocoConfig(dim=5, tau=0.3, momentum=0.8, queue=QUEUE),
    "byol": settings.ByolConfig(dim=5, hidden=7, momentum=0.8),
    "simsiam": settings.SimSiamConfig(dim=7, bottleneck=5),
}
BESIDE, PRETRAINED = tuple(SETTINGS)[:9], tuple(SETTINGS)[9:]
# of each unlabeled image, what passes without a gradient to find targets. Ada-CM guesses in the pass that it learns
# from; SimCLR and SimSiam have no targets but what they learn
GUESSED_ON = {
    "fixmatch": 1, "flexmatch": 1, "freematch": 1, "softmatch": 1,
    "uda": 1, "uda, annealed": 1, "mixmatch": 3, "remixmatch": 1, "moco": 1,
    "byol": 2,
}  # fmt: skip
FACES = 0.4 * torch.randn(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def method_of(case, steps=6):
    torch.manual_seed(1)
    features = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 8), nn.BatchNorm1d(8), nn.Tanh())
    model = Classifier("one-layer", features, 8, CLASSES, 3)
    nn.init.normal_(model.head.weight, std=1.5)  # guesses from sure to unsure
    name = case.split(",")[0]
    own = {name.replace("-", "_"): SETTINGS[case]}
    method = METHODS[name](model, RunConfig(method=name, optim=OptimConfig(epochs=(2,), lr=0.3), **own), SCHEMES["mv"])
    method.module.train()
    method.begin(replace(method.phases[0], unlabeled_images=2 * UNLABELED))
    move = torch.optim.SGD([p for p in method.module.parameters() if p.requires_grad], lr=0.05)
    for step in range(steps):
        method.loss(batch_for(method, step)).loss.backward()
        move.step()
        move.zero_grad()
        method.after_step()
    return method


def batch_for(method, step, done=0.8, unlabeled=UNLABELED):
    """Batch of a step; five steps are an epoch, and the last class has no labels."""
    g, phase = torch.Generator().manual_seed(step), method.phases[0]
    classes = torch.randint(CLASSES - 1, (LABELED if phase.labeled else 0,), generator=g)
    views = [torch.randn(unlabeled, 3, 4, 4, generator=g) for _ in range(phase.views.weak + phase.views.strong)]
    return Batch(
        FACES[classes] + torch.randn(len(classes), 3, 4, 4, generator=g), torch.eye(CLASSES)[classes],
        unlabeled=Unlabeled(
            tuple(views[: phase.views.weak]), tuple(views[phase.views.weak :]),
            torch.arange(unlabeled) + UNLABELED * (step % 2),
        ),
        seed=step, epoch=int(step > 4), step=step, done=done,
    )  # fmt: skip


def state(method):
    """State that a checkpoint saves, without unused counters of batches."""
    return {k: v.clone() for k, v in method.module.state_dict().items() if "tracked" not in k}


# the papers


def entropy(target, logits):
    """H(q, p) of each row."""
    return -(target * logits.log_softmax(dim=1)).sum(dim=1)


def unit(v):
    return v / v.norm(dim=1, keepdim=True)


def passed(network, *parts):
    """Outputs of the network for each part, normalized as one batch."""
    return network(torch.cat(parts)).split([len(part) for part in parts])


@torch.no_grad()
def guess(m, images):
    return m.model(images).softmax(dim=1)


def sharpened(q, t):
    return q ** (1 / t) / (q ** (1 / t)).sum(dim=1, keepdim=True)


def some(rows):
    """Check that some but not all rows are selected, so that the threshold is tested."""
    assert 0 < rows.sum() < len(rows)
    return rows


def nt_xent(a, b, tau):
    n, z = len(a), unit(torch.cat([a, b]))
    e = (z @ z.T / tau).exp() * (1 - torch.eye(2 * n))
    return -sum((e[i, (i + n) % (2 * n)] / e[i].sum()).log() for i in range(2 * n)) / (2 * n)


def fixmatch(m, b, q=None):
    """Equations (3) and (4)."""
    q = guess(m, b.unlabeled.weak[0]) if q is None else q
    labeled, strong = passed(m.model, b.images, b.unlabeled.strong[0])
    sure = some(q.amax(dim=1) >= m.settings.threshold)
    guessed = entropy(torch.eye(CLASSES)[q.argmax(dim=1)], strong)[sure].sum() / UNLABELED
    return entropy(b.targets, labeled).mean() + m.settings.weight * guessed, q


def guessing(m, b, q, weights):
    """Cross-entropy with the guesses, by their weights; also the strong view's logits."""
    labeled, strong = passed(m.model, b.images, b.unlabeled.strong[0])
    guessed = (weights * entropy(torch.eye(CLASSES)[q.argmax(dim=1)], strong)).sum() / UNLABELED
    return entropy(b.targets, labeled).mean() + m.settings.weight * guessed, strong


def flexmatch(m, b, q=None):
    """Equations (5), (11) and (12)."""
    q = guess(m, b.unlabeled.weak[0]) if q is None else q
    known = m.memory.classes.tolist()
    sigma = torch.tensor([known.count(c) for c in range(CLASSES)])
    beta = sigma / max(max(sigma.tolist()), known.count(-1))
    threshold = m.settings.threshold * beta / (2 - beta)
    sure = q.amax(dim=1) >= threshold[q.argmax(dim=1)]
    assert sure.any()
    assert len(set(sigma.tolist())) > 2
    return guessing(m, b, q, sure)[0], q


def averaged(m, old, new):
    return m.settings.momentum * old + (1 - m.settings.momentum) * new


def freematch(m, b, q=None):
    """Equations (5) to (11); the averages include the step's own guesses."""
    q = guess(m, b.unlabeled.weak[0]) if q is None else q
    a = m.averages
    tau, p = averaged(m, a.confidence, q.amax(dim=1).mean()), averaged(m, a.shares, q.mean(dim=0))
    h = averaged(m, a.guessed, torch.eye(CLASSES)[q.argmax(dim=1)].mean(dim=0))
    sure = some(q.amax(dim=1) >= (p / p.max() * tau)[q.argmax(dim=1)])
    loss, strong = guessing(m, b, q, sure)
    said = strong[sure].softmax(dim=1)
    own = torch.eye(CLASSES)[said.argmax(dim=1)].mean(dim=0)
    wanted = p / h / (p / h).sum()
    found = torch.stack([s / o if o > 0 else 0 * s for s, o in zip(said.mean(dim=0), own, strict=True)])
    fair = (wanted * (found / found.sum() + 1e-12).log()).sum()
    return loss + m.settings.fairness_weight * fair, q


def softmatch(m, b, q=None):
    """Equations (5) to (8), with the authors' narrower Gaussian."""
    q = guess(m, b.unlabeled.weak[0]) if q is None else q
    c = m.confidence
    aligned = q / averaged(m, c.shares, q.mean(dim=0))
    most = (aligned / aligned.sum(dim=1, keepdim=True)).amax(dim=1)
    mean, variance = averaged(m, c.mean, most.mean()), averaged(m, c.variance, most.var(unbiased=True))
    n = m.settings.narrow
    w = torch.stack([x * 0 + 1 if x >= mean else (-((x - mean) ** 2) / (2 * variance / n**2)).exp() for x in most])
    some(w == 1)
    return guessing(m, b, q, w)[0], q


def uda(m, b, q=None):
    """Section 2.3, annealing from section 2.4 of the first versions; softmax(logits / τ) is q sharpened."""
    q = guess(m, b.unlabeled.weak[0]) if q is None else q
    labeled, strong = passed(m.model, b.images, b.unlabeled.strong[0])
    sure, target = some(q.amax(dim=1) > m.settings.threshold), sharpened(q, m.settings.temperature)
    guessed = (target * (target.log() - strong.log_softmax(dim=1)))[sure].sum() / UNLABELED
    ce = entropy(b.targets, labeled)
    if m.settings.tsa == "linear":
        known = (b.targets * labeled.softmax(dim=1)).sum(dim=1)
        ce = ce[some(known <= b.done * (1 - 1 / CLASSES) + 1 / CLASSES)]
    return ce.mean() + m.settings.weight * guessed, q


def mixmatch(m, b, q=None):
    """Equations (2) to (7); (8) to (11) are `mixup`, which is tested beside the losses."""
    s, weak, draws = m.settings, b.unlabeled.weak, torch.Generator().manual_seed(b.seed)
    q = sharpened(sum(guess(m, view) for view in weak) / 3, s.temperature) if q is None else q
    x, y = mixup(torch.cat([b.images, *weak]), torch.cat([b.targets, q, q, q]), draws, s.alpha, nearest=True)
    said, n = m.model(x), LABELED
    squared = ((y[n:] - said[n:].softmax(dim=1)) ** 2).sum() / (CLASSES * 3 * UNLABELED)
    return entropy(y[:n], said[:n]).mean() + s.weight * min(1, b.step / s.rise) * squared, q


def remixmatch(m, b, q=None):
    """Section 3, with the weak view among the mixed."""
    s, (weak,), strong = m.settings, b.unlabeled.weak, b.unlabeled.strong
    if q is None:
        q = guess(m, weak) * m.shares.labels.mean(dim=0) / m.shares.guesses.mean(dim=0)
        q = sharpened(q / q.sum(dim=1, keepdim=True), s.temperature)
    draws, targets = torch.Generator().manual_seed(b.seed), torch.cat([b.targets, q, q, q, q])
    x, y = mixup(torch.cat([b.images, weak, *strong]), targets, draws, s.alpha, nearest=True)
    images, quarters = turned(strong[0], draws)
    mixed, first, turning = passed(m.model.features, x, strong[0], images)
    h, unmixed = entropy(y, m.model.head(mixed)), entropy(q, m.model.head(first)).mean()
    rising = s.weight * h[LABELED:].mean() + s.unmixed_weight * unmixed
    rotation = entropy(torch.eye(4)[quarters], m.turns(turning)).mean()
    return h[:LABELED].mean() + min(1, b.step / s.rise) * rising + s.rotation_weight * rotation, q


def ada_cm(m, b, q=None):
    """λ₁ CE + λ₂ L_u + λ₃ L_c, guessed and learned in one pass."""
    x, one, two, strong = passed(m.model.features, b.images, *b.unlabeled.weak, b.unlabeled.strong[0])
    s, p = m.settings, m.model.head
    q = (p(one).softmax(dim=1) + p(two).softmax(dim=1)).detach() / 2 if q is None else q
    sure = some(q.amax(dim=1) >= m.margins.current[q.argmax(dim=1)])
    guessed = entropy(torch.eye(CLASSES)[q.argmax(dim=1)], p(strong))[sure].sum() / UNLABELED
    contrast = s.contrast_weight * nt_xent(one[~sure], two[~sure], s.tau)
    return s.labeled_weight * entropy(b.targets, p(x)).mean() + s.confident_weight * guessed + contrast, q


def simclr(m, b, targets=None):
    """Equation (1)."""
    one, two = passed(nn.Sequential(m.model.features, m.projector), *b.unlabeled.strong)
    return nt_xent(one, two, m.settings.tau), None


def moco(m, b, keys=None):
    """Equation (1)."""
    with torch.no_grad():
        keys = unit(m.key(b.unlabeled.strong[1])) if keys is None else keys
    q, tau = unit(m.query(b.unlabeled.strong[0])), m.settings.tau
    positive, negative = ((q * keys).sum(dim=1) / tau).exp(), (q @ m.queue.keys.T / tau).exp().sum(dim=1)
    return -(positive / (positive + negative)).log().mean(), keys


def byol(m, b, z=None):
    """Equation (2), the squared distance of unit vectors, both ways."""
    with torch.no_grad():
        z = passed(m.target, *b.unlabeled.strong) if z is None else z
    p = passed(nn.Sequential(m.online, m.predictor), *b.unlabeled.strong)
    return sum((unit(p[i]) - unit(z[1 - i])).pow(2).sum(dim=1).mean() for i in (0, 1)), z


def simsiam(m, b, targets=None):
    """Equations (1) to (4)."""
    z = passed(nn.Sequential(m.model.features, m.projector), *b.unlabeled.strong)
    p = passed(m.predictor, *z)
    return -sum((unit(p[i]) * unit(z[1 - i].detach())).sum(dim=1).mean() / 2 for i in (0, 1)), None


PAPERS = {
    "fixmatch": fixmatch, "flexmatch": flexmatch, "freematch": freematch, "softmatch": softmatch,
    "uda": uda, "uda, annealed": uda, "mixmatch": mixmatch, "remixmatch": remixmatch,
    "ada-cm": ada_cm, "simclr": simclr, "moco": moco, "byol": byol, "simsiam": simsiam,
}  # fmt: skip
