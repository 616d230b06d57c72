"""Multiple shooting: every sample in one window, commands where they take effect, whatever the servo."""

from functools import partial

import jax
import numpy as np
import pytest

from armctl import rigid
from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.identify import parameters, shooting
from armctl.identify.start import equation_values
from tests.identify.logs import CHAIN, LOADED, twin_log

ITEMS = parameters.parameters(CHAIN, ("payload", "friction"))


def test_windows_hold_every_sample_once_and_delayed_commands():
    log = twin_log()
    windows = shooting.cut(CHAIN, [log, log], 20, 2)
    assert windows.x.shape == (20, 20, 6)
    flat, command = windows.x[:10].reshape(-1, 6), windows.command[:10].reshape(-1, 3)
    np.testing.assert_array_equal(flat[:, :3], log.q[:200])
    np.testing.assert_array_equal(flat[:, 3:], log.qd[:200])
    np.testing.assert_array_equal(command[:2], np.tile(rigid.gravity(CHAIN, log.q[0]), (2, 1)))
    np.testing.assert_array_equal(command[2:], log.command[:198])
    np.testing.assert_array_equal(windows.x[10:], windows.x[:10])


def test_a_window_longer_than_the_log_is_refused():
    with pytest.raises(UsageError, match=r"300 samples .* \(201\)"):
        shooting.cut(CHAIN, [twin_log()], 300, 0)


@pytest.mark.usefixtures("x64")
def test_velocity_commands_go_through_the_servo():
    """With the true parameters the twin says what was measured; the equations of motion alone are near."""
    log = twin_log(control="velocity")
    windows, arm = shooting.cut(CHAIN, [log], 25, 0), Arm.from_chain(CHAIN)
    true = parameters.known_values(CHAIN, ITEMS, LOADED)
    theta = parameters.vector(ITEMS, true)
    predict = jax.jit(partial(shooting.predict, arm, log.config, ITEMS))
    x = predict(theta, windows.x[:, 0], windows.command)
    np.testing.assert_allclose(x, windows.x, atol=1e-11)
    start = equation_values(arm, log.config, ITEMS, windows)
    deviation = np.delete(start - true, 2)  # no motion of the planar arm shows the offset along its axes
    assert np.abs(deviation).max() < 0.1
