//! The Gaussian of equation (2), cut and normalised. Pure.

/// Standard deviations at which the Gaussian is cut. The cut-off mass is 0.27 %, less than one of 255 in `w`.
pub const CUT: f64 = 3.0;

/// Distribution function of the standard normal distribution cut at `+-CUT`; 0 below, 1 above.
pub fn cut_normal_cdf(t: f64) -> f64 {
    let cdf = |t: f64| 0.5 * (1.0 + libm::erf(t / std::f64::consts::SQRT_2));
    ((cdf(t) - cdf(-CUT)) / (cdf(CUT) - cdf(-CUT))).clamp(0.0, 1.0)
}
