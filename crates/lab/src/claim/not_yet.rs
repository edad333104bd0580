//! Statements that no run is held against yet, with the reason.

/// Id and reason.
pub const NOT_YET: &[(&str, &str)] = &[
    (
        "schechtman/inclusion-criterion",
        "a tool of the proof about abstract sequences; what it is used for is schechtman/euler-inclusion",
    ),
    (
        "cai/gd-margin",
        "the paper's smoothness assumptions and step cap are not known here; cai/gd-step-certificate needs neither",
    ),
    (
        "cai/gd-descent",
        "needs a bound of the second derivatives, which the degree calculus does not have yet",
    ),
    ("telgarsky/sgd-error", "only its shape is sure, which takes many single-pass runs to see"),
    ("schechtman/euler-inclusion", "its remainder is not measured yet"),
    (
        "schechtman/flow-lyapunov",
        "about the flow of the least margin itself, which no algorithm here follows yet",
    ),
    (
        "tsilivis/direction-speed",
        "needs the length of the path of the direction in the algorithm's own norm, which is not measured yet",
    ),
    (
        "tsilivis/adam-is-sign",
        "about two algorithms and not about one run; the tests of the descents hold it step by step",
    ),
    (
        "tsilivis/shampoo-is-spectral",
        "about two algorithms and not about one run; the tests of the descents hold it step by step",
    ),
];
