//! Cai et al. 2025: near-homogeneous networks.

super::claims! {
    defect_bound,
    direction,
    gd_step_certificate,
    key_inequality,
    kkt_homogenized,
    margin_gaps,
    modified_margin_monotone,
    rates,
}
