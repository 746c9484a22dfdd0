"""Named curves f against their formulas, and curves read off measured maps."""

import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.transfer.curves import SMALLEST, fitted_curve, measured_curve, parse_curve

SIGMA = np.geomspace(8.0, 0.05, 40)
RELATIVE = SIGMA / np.sqrt(np.mean(SIGMA**2))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("power:0", np.ones(40)),
        ("power:-1", 1 / RELATIVE),
        ("power:0.5", np.sqrt(RELATIVE)),
        ("whitening:0.01", 1 / np.sqrt(RELATIVE**2 + 0.01)),
    ],
)
def test_formulas(text, wanted):
    np.testing.assert_allclose(parse_curve(text)(SIGMA), wanted, rtol=1e-12)


@pytest.mark.parametrize("peak", [0.4, 1.0, 2.0])
def test_closed_form_peaks_where_it_says_and_ends_as_whitening(peak):
    fine = np.geomspace(20.0, 0.01, 20_001)
    tau = parse_curve(f"closed_form:{peak}")(fine)
    found = fine[np.argmax(tau)] / np.sqrt(np.mean(fine**2))
    assert found == pytest.approx(peak, rel=1e-3)
    if peak < 1:  # the largest sigma, 4, is far beyond it
        assert tau[0] * fine[0] == pytest.approx(tau[1] * fine[1], rel=1e-6)  # 1 / sigma
    assert tau[-1] / fine[-1] == pytest.approx(tau[-2] / fine[-2], rel=1e-3)  # rises like sigma


def test_piecewise_is_linear_in_log_sigma():
    curve = parse_curve("piecewise:1=3,0.1=1")
    sigma = np.array([10.0, np.sqrt(0.1), 0.1, 0.01, 1.0])
    sigma = np.append(sigma, np.sqrt(6 - np.sum(np.minimum(sigma, 2) ** 2)))
    relative = sigma / np.sqrt(np.mean(sigma**2))
    wanted = 1 + 2 * np.clip(np.log10(relative) + 1, 0, 1)
    np.testing.assert_allclose(curve(sigma), wanted, rtol=1e-12)
    assert len(set(np.round(wanted, 6))) > 2


@pytest.mark.parametrize("text", ["power:-1", "closed_form:1", "whitening:1e-9"])
def test_directions_without_variance_get_finite_weights(text):
    tau = parse_curve(text)(np.array([2.0, 1.0, 0.0]))
    assert np.isfinite(tau).all()
    if text == "power:-1":
        assert tau[2] == pytest.approx(1 / SMALLEST)


def test_measured_curve_is_the_map_whatever_the_scale_of_the_inputs():
    tau = np.linspace(1, 2, 40) ** 2
    np.testing.assert_allclose(measured_curve(SIGMA, tau)(SIGMA), tau, rtol=1e-12)
    np.testing.assert_allclose(measured_curve(SIGMA, tau)(7 * SIGMA), tau, rtol=1e-12)


def test_fitted_curve_finds_a_planted_peak():
    planted = parse_curve("closed_form:0.7")(SIGMA)
    ratio = fitted_curve(SIGMA, 3 * planted)(SIGMA) / planted
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    other = parse_curve("closed_form:0.8")(SIGMA) / planted
    assert np.ptp(other) / other[0] > 0.05


@pytest.mark.parametrize(
    "text",
    ["", "measured", "power", "power:x", "power:nan", "closed_form:0", "whitening:-1",
     "piecewise:1", "piecewise:1=2=3", "piecewise:0=1,1=1", "piecewise:1=-1", "cubic:1"],
)  # fmt: skip
def test_what_is_no_curve_is_one_sentence(text):
    with pytest.raises(InputError, match="is none of closed_form:PEAK, power:EXPONENT") as error:
        parse_curve(text)
    assert "\n" not in str(error.value)
