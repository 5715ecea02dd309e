//! The Gaussian of equation (2), cut and normalised. Pure.

/// Standard deviations at which the Gaussian is cut. The cut-off mass is 0.27 %, less than one of 255 in `w`.
pub const CUT: f64 = 3.0;

/// The mass within the cut, erf(CUT / sqrt(2)).
const WITHIN_CUT: f64 = 0.997_300_203_936_739_8;

/// Distribution function of the standard normal distribution cut at `+-CUT`; 0 below, 1 above.
pub fn cut_normal_cdf(t: f64) -> f64 {
    // A mask is mostly inside or outside: erf is only asked for at its edges.
    if t <= -CUT {
        return 0.0;
    }
    if t >= CUT {
        return 1.0;
    }
    let within = libm::erf(t / std::f64::consts::SQRT_2) / WITHIN_CUT;
    (0.5 * (1.0 + within)).clamp(0.0, 1.0)
}
