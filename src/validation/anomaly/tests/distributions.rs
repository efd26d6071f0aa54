//! Seven shapes that fields of outputs have, drawn from a generator whose numbers are the same on every machine.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Draw(pub u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform, above 0 and below 1.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        let (mut count, mut product) = (0.0, self.uniform());
        while product > (-mean).exp() {
            count += 1.0;
            product *= self.uniform();
        }
        count
    }
}

/// A name and how to draw from it.
pub(super) type Distribution = (&'static str, fn(&mut Draw) -> f64);

pub(super) const SEVEN: [Distribution; 7] = [
    ("normal", |draw| draw.normal()),
    ("lognormal", |draw| draw.normal().exp()),
    // Confidences: most about 0.2, some about 0.9, nothing between.
    ("bimodal", |draw| if draw.uniform() < 0.85 { 0.2 } else { 0.9 } + 0.05 * draw.normal()),
    // A score that is nearly always 1.
    ("near-constant", |draw| if draw.uniform() < 0.85 { 1.0 } else { 1.0 - 0.2 * draw.uniform() }),
    ("uniform", |draw| draw.uniform()),
    // Heavy tails on both sides: Student's t with three degrees of freedom.
    ("student t3", |draw| {
        let squares: f64 = (0..3).map(|_| draw.normal().powi(2)).sum();
        draw.normal() / (squares / 3.0).sqrt()
    }),
    // Numbers of findings.
    ("counts", |draw| draw.poisson(3.0)),
];
