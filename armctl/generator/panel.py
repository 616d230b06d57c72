"""A frozen panel of controllers: what they find hard, measured in the twin, is what difficulty means.

Three kinds of them, each as it comes with the library: torque in joint space and in task space, both with integral
action, and resolved rates. Observers and adaptive controllers, the tracker among them, stay outside, so that one can
ask whether what is hard for the panel is hard for them.
"""

from collections.abc import Callable, Sequence

import numpy as np

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.shipped import best
from armctl.errors import UsageError
from armctl.generator.difficulty import Dial, described, features, fit_critic
from armctl.learn.tracking import tracking_rms
from armctl.motion.corpus import Corpus, references
from armctl.motion.reference import Reference
from armctl.plant.presets import sample_scenario

PANEL = ("computed_torque_integral", "operational_space_integral", "diff_ik")
PLANTS = 6
JUDGED = 200
"""References that the critic is fitted on."""


def panel_errors(
    motions: Sequence[Reference],
    chain: Chain,
    scenario: str,
    controllers: Sequence[str] = PANEL,
    *,
    plants: int = PLANTS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> np.ndarray:
    """Tracking errors (N, P plants) m of N references under each of P controllers, in the twin.

    scenario: preset of the true plants, which are the same for all references. seed: of the plants. progress: told
    which controller is measured. An episode that was lost counts 0.3 m.
    """
    rng = np.random.default_rng(seed)
    scenarios = [sample_scenario(scenario, chain, rng) for _ in range(plants)]
    arm, columns = Arm.from_chain(chain), []
    for name in controllers:
        progress(name)
        columns.append(tracking_rms(best(name, arm, motions[0].dt)[0], chain, motions, scenarios))
    return np.concatenate(columns, axis=1)


def learn_dial(
    corpus: Corpus,
    chain: Chain,
    scenario: str = "payload",
    controllers: Sequence[str] = PANEL,
    *,
    judged: int = JUDGED,
    plants: int = PLANTS,
    dt: float = 0.01,
    seed: int = 0,
    progress: Callable[[str], None] = lambda name: None,
) -> Dial:
    """The dial of difficulty of a corpus: a critic fitted to the panel's errors, and what it says of every motion.

    judged: motions of the "train" split that the panel is made to follow, drawn at random. Others as `panel_errors`.
    Raises UsageError for fewer than ten such motions.
    """
    members = references(corpus, chain, "train", dt)
    drawn = np.random.default_rng(seed).permutation(len(members))[:judged]
    motions = [members[k] for k in drawn]
    if len(motions) < 10:
        raise UsageError(f"There are {len(motions)} motions to train on, too few to learn what is difficult; give 10.")
    errors = panel_errors(motions, chain, scenario, controllers, plants=plants, seed=seed, progress=progress)
    critic = fit_critic(np.stack([features(motion, chain) for motion in motions]), errors, seed=seed)
    expected = np.sort(critic.predict(described(corpus, chain)))
    return Dial(critic, expected, scenario, tuple(controllers))
