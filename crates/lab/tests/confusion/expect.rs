//! What every claim has to say of some of the runs.

/// A claim with runs that must satisfy it and runs that must not pass.
pub struct Expect {
    /// The claim.
    pub id: &'static str,
    /// Runs of which it must be said to hold.
    pub holds: &'static [&'static str],
    /// Runs of which it must not, with the verdict.
    pub flagged: &'static [(&'static str, &'static str)],
}

/// One entry for every claim.
pub const EXPECT: &[Expect] = &[
    Expect {
        id: "lyu-li/approx-kkt",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("turns away", "violated"),
            ("margins too large", "violated"),
            ("one margin too large", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/balancedness",
        holds: &["flow, smooth", "flow, deep linear", "flow, deep linear, far"],
        flagged: &[
            ("wrong gradient", "violated"),
            ("wrong conserved", "violated"),
            ("turns away", "violated"),
        ],
    },
    Expect {
        id: "lyu-li/direction-speed",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("turns away", "violated"),
            ("biases", "not-applicable"),
            ("flow, softplus", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/finite-time-kkt",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/gd-margin",
        holds: &["descent, small steps", "descent, constant rate", "descent, linear"],
        flagged: &[("too short", "not-applicable"), ("biases", "not-applicable"), ("Adam", "not-applicable")],
    },
    Expect {
        id: "lyu-li/integrated-alignment",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("drifts", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/limit-kkt",
        holds: &["flow, linear", "flow, linear, far", "flow, deep linear, far"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/loss-decomposition",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[("wrong gradient", "violated"), ("turns away", "violated"), ("drifts", "violated")],
    },
    Expect {
        id: "lyu-li/margin-growth-vs-rotation",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("drifts", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/margin-sandwich",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("margins too large", "violated"),
            ("margins too small", "violated"),
            ("one margin too small", "violated"),
        ],
    },
    Expect {
        id: "lyu-li/mexican-hat",
        holds: &["Mexican hat", "Mexican hat, exponent 3"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "lyu-li/multi-homogeneous-margin",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("turns away", "violated"),
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/norm-growth",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("wrong gradient", "violated"),
            ("margins too large", "violated"),
        ],
    },
    Expect {
        id: "lyu-li/ntk-svm",
        holds: &["flow, linear", "flow, linear, far", "flow, deep linear, far"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/rate-asymptotic",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/rate-sandwich",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("wrong degree", "violated"),
            ("wrong gradient", "violated"),
            ("biases", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/robustness-bound",
        holds: &["ReLU, robustness", "linear, robustness"],
        flagged: &[("radii a tenth", "violated"), ("radii a tenth, linear", "violated")],
    },
    Expect {
        id: "lyu-li/smoothed-margin-monotone",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("biases", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "lyu-li/two-layer-kkt-structure",
        holds: &["ReLU, groups", "ReLU, two groups"],
        flagged: &[("too short", "not-applicable"), ("biases", "not-applicable"), ("Adam", "not-applicable")],
    },
    Expect {
        id: "ji-telgarsky/alignment",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/deep-linear",
        holds: &["flow, deep linear", "flow, deep linear, far", "flow, deep linear, logistic"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "ji-telgarsky/definability-boundary",
        holds: &["Mexican hat", "Mexican hat, exponent 3"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "ji-telgarsky/direction-converges",
        holds: &["flow, linear, far", "flow, deep linear, far", "flow, frozen outer layer"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/flow-identities",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("wrong gradient", "violated"),
            ("turns away", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/kl-exponent",
        holds: &[],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/radial-excess",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("margins too large", "violated"),
            ("margins too small", "violated"),
            ("one margin too large", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/saliency",
        holds: &["flow, linear", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "ji-telgarsky/two-homogeneous-dual",
        holds: &["flow, deep linear", "flow, deep linear, far", "flow, frozen outer layer"],
        flagged: &[("too short", "not-applicable"), ("biases", "not-applicable"), ("Adam", "not-applicable")],
    },
    Expect {
        id: "telgarsky/balance",
        holds: &["flow, smooth", "bundle, ReLU", "descent, small steps"],
        flagged: &[("turns away", "violated"), ("drifts", "violated"), ("biases", "not-applicable")],
    },
    Expect {
        id: "telgarsky/certified-escape",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("turns away", "violated"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
        ],
    },
    Expect {
        id: "telgarsky/margin-ceiling",
        holds: &["rotation-free, parity", "ReLU, parity", "rotation-free, logistic"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "telgarsky/near-init-margin",
        holds: &["bundle, ReLU, far", "bundle, ReLU", "ReLU, parity"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "telgarsky/neural-collapse-margin",
        holds: &["ReLU, groups", "ReLU, two groups"],
        flagged: &[("too short", "not-applicable"), ("biases", "not-applicable"), ("Adam", "not-applicable")],
    },
    Expect {
        id: "telgarsky/rotation",
        holds: &[],
        flagged: &[
            ("biases", "not-applicable"),
            ("flow, frozen outer layer", "not-applicable"),
            ("wrong degree", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "telgarsky/rotation-free-margin",
        holds: &["rotation-free, parity", "rotation-free, logistic"],
        flagged: &[
            ("too short", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
        ],
    },
    Expect {
        id: "cai/defect-bound",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[("wrong degree", "violated"), ("wrong gradient", "violated")],
    },
    Expect {
        id: "cai/direction",
        holds: &["flow, linear, far", "flow, deep linear, far", "flow, frozen outer layer"],
        flagged: &[
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("sign descent", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "cai/gd-step-certificate",
        holds: &["descent, small steps", "descent, constant rate", "descent, SiLU"],
        flagged: &[("too short", "not-applicable"), ("Adam", "not-applicable"), ("biases", "not-applicable")],
    },
    Expect {
        id: "cai/key-inequality",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("Adam", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "cai/kkt-homogenized",
        holds: &["flow, linear", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("sign descent", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "cai/margin-gaps",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("margins too large", "violated"),
            ("margins too small", "violated"),
        ],
    },
    Expect {
        id: "cai/modified-margin-monotone",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("Adam", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "cai/rates",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[("wrong degree", "violated"), ("wrong gradient", "violated"), ("too short", "undecided")],
    },
    Expect {
        id: "schechtman/criticality",
        holds: &["SGD, linear", "descent, linear"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "schechtman/general-steps",
        holds: &["SGD, linear", "descent, linear"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "schechtman/norm-identity",
        holds: &["descent, small steps", "descent, constant rate", "SGD, fresh batches"],
        flagged: &[
            ("too short", "not-applicable"),
            ("biases", "not-applicable"),
            ("flow, softplus", "not-applicable"),
        ],
    },
    Expect {
        id: "schechtman/norm-log-growth",
        holds: &["descent, constant rate", "SGD, fresh batches", "SGD, linear"],
        flagged: &[
            ("too short", "not-applicable"),
            ("too large steps", "not-applicable"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "schechtman/softmax-concentration",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[("one margin too large", "violated"), ("one margin too small", "violated")],
    },
    Expect {
        id: "tsilivis/approx-kkt",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("turns away", "violated"),
            ("one margin too small", "violated"),
            ("biases", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/bregman-gap",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[
            ("turns away", "violated"),
            ("margins too small", "violated"),
            ("one margin too small", "violated"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/euler-bound",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("margins too small", "violated"),
            ("one margin too small", "violated"),
            ("biases", "not-applicable"),
        ],
    },
    Expect {
        id: "tsilivis/flow-identities",
        holds: &["flow, smooth", "flow, linear", "flow, deep linear"],
        flagged: &[("wrong gradient", "violated"), ("turns away", "violated"), ("drifts", "violated")],
    },
    Expect {
        id: "tsilivis/general-loss",
        holds: &["flow, linear", "flow, three classes", "ReLU, groups"],
        flagged: &[
            ("too short", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too large steps", "not-applicable"),
        ],
    },
    Expect {
        id: "tsilivis/limit-kkt",
        holds: &["flow, linear, far", "flow, deep linear, far", "descent, linear"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/margin-sandwich",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("margins too large", "violated"),
            ("margins too small", "violated"),
            ("one margin too small", "violated"),
        ],
    },
    Expect {
        id: "tsilivis/own-norm-only",
        holds: &["flow, deep linear, far", "bundle, ReLU, far", "bundle, ReLU"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/rate-integral",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("margins too small", "violated"),
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/smooth-margin-monotone",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("biases", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/smooth-norm-kkt",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/stationarity-by-norm",
        holds: &["flow, linear, far", "flow, deep linear, far", "descent, linear"],
        flagged: &[
            ("biases", "not-applicable"),
            ("Adam", "not-applicable"),
            ("SGD, reshuffled", "not-applicable"),
            ("too short", "undecided"),
        ],
    },
    Expect {
        id: "tsilivis/window-alignment",
        holds: &["flow, smooth", "flow, deep linear", "flow, linear, far"],
        flagged: &[
            ("wrong degree", "violated"),
            ("turns away", "violated"),
            ("drifts", "violated"),
            ("too short", "undecided"),
        ],
    },
];
