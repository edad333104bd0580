//! The works that entries refer to.

/// A reference that `latephase cite` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cite {
    /// Short key, as in `lyu-li-2020`.
    pub key: &'static str,
    /// The reference, in a line.
    pub text: &'static str,
}

macro_rules! cites {
    ($($name:ident $key:literal $text:literal;)+) => {
        $(#[doc = $text] pub const $name: Cite = Cite { key: $key, text: $text };)+
        /// Every work known to the project.
        pub const ALL: &[Cite] = &[$($name),+];
    };
}

cites! {
    LYU_LI_2020 "lyu-li-2020" "K. Lyu, J. Li. Gradient Descent Maximizes the Margin of Homogeneous Neural Networks. ICLR 2020, arXiv 1906.05890.";
    JI_TELGARSKY_2020 "ji-telgarsky-2020" "Z. Ji, M. Telgarsky. Directional Convergence and Alignment in Deep Learning. NeurIPS 2020, arXiv 2006.06657.";
    JI_TELGARSKY_2019 "ji-telgarsky-2019" "Z. Ji, M. Telgarsky. Gradient Descent Aligns the Layers of Deep Linear Networks. ICLR 2019, arXiv 1810.02032.";
    TELGARSKY_2022 "telgarsky-2022" "M. Telgarsky. Feature Selection with Gradient Descent on Two-layer Networks in Low-rotation Regimes. 2022, arXiv 2208.02789.";
    TSILIVIS_2024 "tsilivis-2024" "N. Tsilivis, G. Vardi, J. Kempe. Flavors of Margin: Implicit Bias of Steepest Descent in Homogeneous Neural Networks. 2024, arXiv 2410.22069; JMLR 27(104).";
    CAI_2025 "cai-2025" "Y. Cai, K. Zhou, J. Wu, S. Mei, M. Lindsey, P. L. Bartlett. Implicit Bias of Gradient Descent for Non-Homogeneous Deep Networks. ICML 2025, arXiv 2502.16075.";
    SCHECHTMAN_2025 "schechtman-schreuder-2025" "S. Schechtman, N. Schreuder. The Late-Stage Training Dynamics of (Stochastic) Subgradient Descent on Homogeneous Neural Networks. COLT 2025, arXiv 2502.05668.";
    ABSIL_2005 "absil-2005" "P.-A. Absil, R. Mahony, B. Andrews. Convergence of the Iterates of Descent Methods for Analytic Cost Functions. SIAM J. Optimization 16(2), 2005.";
    JACOT_2018 "jacot-2018" "A. Jacot, F. Gabriel, C. Hongler. Neural Tangent Kernel: Convergence and Generalization in Neural Networks. NeurIPS 2018, arXiv 1806.07572.";
    CRISTIANINI_2001 "cristianini-2001" "N. Cristianini, J. Shawe-Taylor, A. Elisseeff, J. Kandola. On Kernel-Target Alignment. NeurIPS 2001.";
    ROY_VETTERLI_2007 "roy-vetterli-2007" "O. Roy, M. Vetterli. The Effective Rank: A Measure of Effective Dimensionality. EUSIPCO 2007.";
    BACH_2017 "bach-2017" "F. Bach. Breaking the Curse of Dimensionality with Convex Neural Networks. JMLR 18, 2017, arXiv 1412.8690.";
    PILANCI_ERGEN_2020 "pilanci-ergen-2020" "M. Pilanci, T. Ergen. Neural Networks are Convex Regularizers: Exact Polynomial-time Convex Optimization Formulations for Two-layer Networks. ICML 2020, arXiv 2002.10553.";
    CHO_SAUL_2009 "cho-saul-2009" "Y. Cho, L. Saul. Kernel Methods for Deep Learning. NeurIPS 2009.";
    SOUDRY_2018 "soudry-2018" "D. Soudry, E. Hoffer, M. S. Nacson, S. Gunasekar, N. Srebro. The Implicit Bias of Gradient Descent on Separable Data. JMLR 19, 2018.";
    NACSON_2019 "nacson-2019" "M. S. Nacson, J. D. Lee, S. Gunasekar, P. H. P. Savarese, N. Srebro, D. Soudry. Convergence of Gradient Descent on Separable Data. AISTATS 2019, arXiv 1803.01905.";
    WU_2024 "wu-2024" "J. Wu, P. L. Bartlett, M. Telgarsky, B. Yu. Large Stepsize Gradient Descent for Logistic Loss: Non-Monotonicity of the Loss Improves Optimization Efficiency. COLT 2024, arXiv 2402.15926.";
    GRONICH_VARDI_2026 "gronich-vardi-2026" "E. Gronich, G. Vardi. The Implicit Bias of Adam and Muon on Smooth Homogeneous Neural Networks. 2026, arXiv 2602.16340.";
    WANG_2021 "wang-2021" "B. Wang, Q. Meng, W. Chen, T.-Y. Liu. The Implicit Bias for Adaptive Optimization Algorithms on Homogeneous Neural Networks. ICML 2021, arXiv 2012.06244.";
    XIE_LI_2024 "xie-li-2024" "S. Xie, Z. Li. Implicit Bias of AdamW: ℓ∞ Norm Constrained Optimization. ICML 2024, arXiv 2404.04454.";
    ARMIJO_1966 "armijo-1966" "L. Armijo. Minimization of Functions Having Lipschitz Continuous First Partial Derivatives. Pacific J. Mathematics 16(1), 1966.";
    GUNASEKAR_2018 "gunasekar-2018" "S. Gunasekar, J. D. Lee, D. Soudry, N. Srebro. Characterizing Implicit Bias in Terms of Optimization Geometry. ICML 2018, arXiv 1802.08246.";
    BERNSTEIN_2024 "bernstein-newhouse-2024" "J. Bernstein, L. Newhouse. Old Optimizer, New Norm: An Anthology. 2024, arXiv 2409.20325.";
    LARGE_2024 "large-2024" "T. Large, Y. Liu, M. Huh, H. Bahng, P. Isola, J. Bernstein. Scalable Optimization in the Modular Norm. 2024, arXiv 2405.14813.";
    WANG_2024 "wang-min-wu-2024" "M. Wang, Z. Min, L. Wu. Achieving Margin Maximization Exponentially Fast via Progressive Norm Rescaling. ICML 2024, arXiv 2311.14387.";
    WOLFE_1976 "wolfe-1976" "P. Wolfe. Finding the Nearest Point in a Polytope. Mathematical Programming 11, 1976.";
    LEMARECHAL_1975 "lemarechal-1975" "C. Lemaréchal. An Extension of Davidon Methods to Non Differentiable Problems. Mathematical Programming Study 3, 1975.";
    BURKE_2005 "burke-2005" "J. V. Burke, A. S. Lewis, M. L. Overton. A Robust Gradient Sampling Algorithm for Nonsmooth, Nonconvex Optimization. SIAM J. Optimization 15(3), 2005.";
    DAVIS_2020 "davis-2020" "D. Davis, D. Drusvyatskiy, S. Kakade, J. D. Lee. Stochastic Subgradient Method Converges on Tame Functions. Foundations of Computational Mathematics 20, 2020.";
    DORMAND_PRINCE_1980 "dormand-prince-1980" "J. R. Dormand, P. J. Prince. A Family of Embedded Runge-Kutta Formulae. J. Computational and Applied Mathematics 6, 1980.";
    HAIRER_WANNER_1996 "hairer-wanner-1996" "E. Hairer, G. Wanner. Solving Ordinary Differential Equations II: Stiff and Differential-Algebraic Problems. Second edition, Springer 1996.";
    VARDI_2022 "vardi-2022" "G. Vardi, O. Shamir, N. Srebro. On Margin Maximization in Linear and ReLU Networks. NeurIPS 2022, arXiv 2110.02732.";
    PAPYAN_2020 "papyan-2020" "V. Papyan, X. Y. Han, D. L. Donoho. Prevalence of Neural Collapse during the Terminal Phase of Deep Learning Training. PNAS 117(40), 2020, arXiv 2008.08186.";
    HE_2015 "he-2015" "K. He, X. Zhang, S. Ren, J. Sun. Delving Deep into Rectifiers. ICCV 2015.";
    LECUN_1998 "lecun-1998" "Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller. Efficient BackProp. 1998.";
    POLYAK_1964 "polyak-1964" "B. T. Polyak. Some Methods of Speeding up the Convergence of Iteration Methods. USSR Computational Mathematics and Mathematical Physics 4(5), 1964.";
    SUTSKEVER_2013 "sutskever-2013" "I. Sutskever, J. Martens, G. Dahl, G. Hinton. On the Importance of Initialization and Momentum in Deep Learning. ICML 2013.";
    BERNSTEIN_2018 "bernstein-2018" "J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar. signSGD: Compressed Optimisation for Non-Convex Problems. ICML 2018, arXiv 1802.04434.";
    KINGMA_BA_2015 "kingma-ba-2015" "D. P. Kingma, J. Ba. Adam: A Method for Stochastic Optimization. ICLR 2015, arXiv 1412.6980.";
    LOSHCHILOV_HUTTER_2019 "loshchilov-hutter-2019" "I. Loshchilov, F. Hutter. Decoupled Weight Decay Regularization. ICLR 2019, arXiv 1711.05101.";
    ZHANG_2024 "zhang-2024" "C. Zhang, D. Zou, Y. Cao. The Implicit Bias of Adam on Separable Data. NeurIPS 2024, arXiv 2406.10650.";
    TIELEMAN_HINTON_2012 "tieleman-hinton-2012" "T. Tieleman, G. Hinton. Lecture 6.5: RMSprop. Neural Networks for Machine Learning, 2012.";
    GRAVES_2013 "graves-2013" "A. Graves. Generating Sequences with Recurrent Neural Networks. 2013, arXiv 1308.0850.";
    DUCHI_2011 "duchi-2011" "J. Duchi, E. Hazan, Y. Singer. Adaptive Subgradient Methods for Online Learning and Stochastic Optimization. JMLR 12, 2011.";
    CHEN_2023 "chen-2023" "X. Chen et al. Symbolic Discovery of Optimization Algorithms. NeurIPS 2023, arXiv 2302.06675.";
    GUPTA_2018 "gupta-2018" "V. Gupta, T. Koren, Y. Singer. Shampoo: Preconditioned Stochastic Tensor Optimization. ICML 2018, arXiv 1802.09568.";
    JORDAN_2024 "jordan-2024" "K. Jordan et al. Muon: An Optimizer for Hidden Layers in Neural Networks. 2024, kellerjordan.github.io/posts/muon.";
    MOOSAVI_2016 "moosavi-dezfooli-2016" "S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard. DeepFool: A Simple and Accurate Method to Fool Deep Neural Networks. CVPR 2016, arXiv 1511.04599.";
    CARLINI_WAGNER_2017 "carlini-wagner-2017" "N. Carlini, D. Wagner. Towards Evaluating the Robustness of Neural Networks. IEEE S&P 2017, arXiv 1608.04644.";
    CROCE_HEIN_2020 "croce-hein-2020" "F. Croce, M. Hein. Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack. ICML 2020, arXiv 1907.02044.";
    LIU_2025 "liu-2025" "J. Liu et al. Muon is Scalable for LLM Training. 2025, arXiv 2502.16982.";
}
