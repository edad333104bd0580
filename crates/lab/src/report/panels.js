'use strict';
// What each panel shows. Columns are names, or patterns for families; a panel without data is left out.
// A view: [button, columns, axis title, logarithmic?]. The first view is shown first, unless `first` picks another.
const PANELS = [
  {
    id: 'loss', title: 'Loss',
    views: [
      ['log₁₀ L', ['log10_loss'], 'log₁₀ L', false],
      ['log₁₀(1/L), log', ['decades'], 'log₁₀(1/L)', true],
    ],
    // A loss that falls by more than this shows only its end on a linear axis.
    first: run => run.span('log10_loss') > 30 ? 1 : 0,
    caption: 'Should fall without end once the data are fitted. Only log₁₀ L is drawn: below 1e-323 the loss itself is 0 in f64. '
      + 'While the margin settles, ln(1/L) grows like ρᴸ: against ln ρ the log scale shows a straight line.',
  },
  {
    id: 'norm', title: 'Norm',
    views: [['ln ρ', ['ln_rho'], 'ln ρ', false]],
    caption: 'ρ = ‖θ‖₂ should grow without end. Directions and margins settle on the scale of ln ρ, not of steps (Lyu & Li 2020, Thm A.9).',
  },
  {
    id: 'margins', title: 'Normalised margin',
    views: [
      ['linear', ['margin', 'smooth_margin'], '', false],
      ['log', ['margin', 'smooth_margin'], '', true],
    ],
    caption: 'margin = q_min/ρᴸ. Along ℓ2 gradient flow smooth_margin should never fall once the loss is below its threshold, and the '
      + 'two should meet (Lyu & Li 2020, Thm 4.1). Finite steps, mini-batches and other geometries are not covered by that theorem. '
      + 'Dotted lines: the exact optimum, or a bound, where the run has been held against one (latephase exact).',
  },
  {
    id: 'margins-other', title: 'Margins by other norms',
    views: [
      ['log', [/^(smooth_)?margin_/], '', true],
      ['linear', [/^(smooth_)?margin_/], '', false],
    ],
    caption: 'Named by the norm that divides: margin_linf is the ℓ1 margin γ₁ of Tsilivis et al. (arXiv 2410.22069), margin_l1 their γ_∞. Steepest flow '
      + 'in a norm should raise the smoothed margin of that norm; the others may fall. margin_product divides by the product of layer norms.',
  },
  {
    id: 'below', title: 'Below the optimum',
    views: [
      ['log', [/^below_margin/], '1 − margin/optimum', true],
      ['linear', [/^below_margin/], '1 − margin/optimum', false],
    ],
    caption: 'What a margin lacks of its exact optimum, or of a bound that no θ exceeds (latephase exact). Gradient descent on a '
      + 'linear model should close it in ℓ2 like 1/ln(1/L) (Soudry et al. 2018); in another norm than the algorithm’s it need not vanish.',
  },
  {
    id: 'alignment', title: 'Alignment',
    views: [
      ['linear', ['beta', /^alignment_/], 'β', false],
      ['1 − β, log', ['one_minus_beta'], '1 − β', true],
    ],
    caption: 'β = cos(θ, −∇L). Should tend to 1 along gradient flow where ∇f is locally Lipschitz (Ji & Telgarsky 2020, Thm 4.1). '
      + 'On ReLU kinks one gradient need not align, although the KKT residual with fitted multipliers does vanish.',
  },
  {
    id: 'direction', title: 'Motion of the direction',
    views: [
      ['speed', ['direction_speed'], '‖dθ̂/d ln ρ‖', true],
      ['path length', ['direction_path'], 'length of the path of θ̂', false],
    ],
    caption: 'The path of θ̂ = θ/ρ should have finite length along gradient flow (Ji & Telgarsky 2020, Thm 3.1), so the speed per unit of '
      + 'ln ρ should fall; while it is not small, the direction has not arrived.',
  },
  {
    id: 'kkt-epsilon', title: 'KKT: stationarity',
    views: [
      ['log', [/^kkt_epsilon/], 'ε', true],
      ['linear', [/^kkt_epsilon/], 'ε', false],
    ],
    caption: 'Residual ε of θ = Σ λₙ∇qₙ, scaled to q_min = 1. Should tend to 0 on the way to a KKT point (Lyu & Li 2020, Thm 4.4, Lemma C.8). '
      + 'kkt_epsilon takes the multipliers of one gradient, which cannot reach 0 on a ReLU kink; _fit takes the best ones, _bundle those of the bundle.',
  },
  {
    id: 'kkt-delta', title: 'KKT: complementarity',
    views: [
      ['log', [/^kkt_delta/], 'δ', true],
      ['linear', [/^kkt_delta/], 'δ', false],
    ],
    caption: 'Largest λₙ(qₙ/q_min − 1). Should fall at least like 1/ln(1/L) along gradient flow (Lyu & Li 2020, Lemma C.8).',
  },
  {
    id: 'accuracy', title: 'Accuracy',
    views: [['', ['train_accuracy', 'test_accuracy'], '', false]],
    caption: 'The late phase begins when every training example is right. The theory here promises nothing about test accuracy.',
  },
  {
    id: 'robustness', title: 'Robustness',
    views: [
      ['radius, log', [/^robust_(radius|lower)/], 'ℓ2 radius', true],
      ['robust accuracy', [/^robust_(train|test)_/], 'share', false],
      ['radius', [/^robust_(radius|lower)/], 'ℓ2 radius', false],
    ],
    caption: 'How far inputs must move to be called something else: robust_radius from above (the shortest move found), robust_lower from '
      + 'below (margin over the Lipschitz bound of the layers); robust_test_0.3 is the share whose radius found exceeds 0.3. A larger '
      + 'normalised margin raises the lower bound (Lyu & Li 2020, section 1); whether the radii follow is what this panel shows.',
  },
  {
    id: 'balance', title: 'Balance of layers',
    views: [
      ['linear', [/^balance/], '', false],
      ['log', [/^balance/], '', true],
    ],
    caption: 'Conserved by ℓ2 gradient flow on homogeneous layers: drift measures what finite steps add.',
  },
];

// Choices of the common horizontal axis: [column, button, axis title, logarithmic at first?, may be logarithmic?].
const AXES = [
  ['step', 'step', 'step', true, true],
  ['ln_rho', 'ln ρ', 'ln ρ', false, false],
  ['decades', 'log₁₀(1/L)', 'decades of loss, log₁₀(1/L)', true, true],
  ['evaluations', 'evaluations', 'evaluations', true, true],
  ['epoch', 'epoch', 'epoch', true, true],
  ['ln_time', 'ln t', 'ln t', false, false],
];
