//! The digits that Redis 7.2 prints of a double: nearly always the fewest that read back as the same
//! number.
//!
//! It is the algorithm Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
//! Accurately with Integers", 2010) with 64-bit arithmetic, because replies are to be Redis's to the
//! last digit: about one number in a thousand gets a digit more than needed (1e23 is
//! 9.999999999999999e22), which no exact algorithm would reproduce. Every result reads back as the
//! number it came from.

/// A number `fraction * 2^exponent`.
#[derive(Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

/// The digits of a number: `0.d1d2d3... * 10^(len + power)`, that is, an integer times `10^power`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShortDigits {
    digits: [u8; 20],
    len: usize,
    power: i32,
}

impl ShortDigits {
    /// The digits of a positive finite number.
    pub(super) fn new(value: f64) -> Self {
        let (exact, low, high) = bounds(value);
        let (ten, power) = power_of_ten(high.exponent);
        let (exact, mut low, mut high) = (exact.times(ten), low.times(ten), high.times(ten));
        // Products are off by less than one unit: stay inside.
        low.fraction += 1;
        high.fraction -= 1;
        let mut result = Self { digits: [0; 20], len: 0, power: -power };
        result.generate(exact, low, high);
        result
    }

    /// The digits, in ASCII; the first is not 0.
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    /// What the integer made of the digits is multiplied by: a power of ten.
    pub(super) const fn power(&self) -> i32 {
        self.power
    }

    /// Produces digits of the upper bound until the rest lies within the bounds.
    fn generate(&mut self, exact: Scaled, low: Scaled, high: Scaled) {
        let shift = -high.exponent;
        let one = 1_u64 << shift;
        let mut width = high.fraction - low.fraction;
        let mut distance = high.fraction - exact.fraction;
        let (mut whole, mut rest) = (high.fraction >> shift, high.fraction & (one - 1));
        for place in (0..10).rev() {
            let unit = 10_u64.pow(place);
            self.push(whole / unit);
            whole %= unit;
            let left = (whole << shift) + rest;
            if left <= width {
                self.power += place as i32;
                return self.settle(width, left, unit << shift, distance);
            }
        }
        loop {
            (rest, width, distance) = (rest * 10, width * 10, distance.wrapping_mul(10));
            self.push(rest >> shift);
            rest &= one - 1;
            self.power -= 1;
            if rest < width {
                return self.settle(width, rest, one, distance);
            }
        }
    }

    /// Appends a digit, unless it is a zero in front of all others.
    fn push(&mut self, digit: u64) {
        if digit > 0 || self.len > 0 {
            self.digits[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// Lowers the last digit as long as that brings it closer to the exact number.
    fn settle(&mut self, width: u64, mut left: u64, unit: u64, distance: u64) {
        while left < distance
            && width - left >= unit
            && (left + unit < distance || distance - left > left + unit - distance)
        {
            self.digits[self.len - 1] -= 1;
            left += unit;
        }
    }
}

impl Scaled {
    fn times(self, other: Self) -> Self {
        let product = u128::from(self.fraction) * u128::from(other.fraction) + (1 << 63);
        Self { fraction: (product >> 64) as u64, exponent: self.exponent + other.exponent + 64 }
    }

    const fn normal(self) -> Self {
        let shift = self.fraction.leading_zeros();
        Self { fraction: self.fraction << shift, exponent: self.exponent - shift as i32 }
    }
}

const FRACTION_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1075;

/// A number, and the middles between it and its neighbours, which have one exponent.
fn bounds(value: f64) -> (Scaled, Scaled, Scaled) {
    let hidden = 1_u64 << FRACTION_BITS;
    let stored = value.to_bits() & (hidden - 1);
    let exact = match (value.to_bits() >> FRACTION_BITS) as i32 {
        0 => Scaled { fraction: stored, exponent: 1 - EXPONENT_BIAS },
        exponent => Scaled { fraction: stored | hidden, exponent: exponent - EXPONENT_BIAS },
    };
    let high = Scaled { fraction: 2 * exact.fraction + 1, exponent: exact.exponent - 1 }.normal();
    // Below a power of two, neighbours are half as far apart.
    let shift = if exact.fraction == hidden { 2 } else { 1 };
    let low = (exact.fraction << shift) - 1;
    let low_shift = exact.exponent - shift - high.exponent;
    let low = Scaled { fraction: low << low_shift, exponent: high.exponent };
    (exact.normal(), low, high)
}

/// A power of ten that brings a number with this exponent to one between -60 and -32, and which one
/// it is.
fn power_of_ten(exponent: i32) -> (Scaled, i32) {
    const LOG10_2: f64 = 0.301_029_995_663_981_14;
    let guess = (-f64::from(exponent + POWERS.len() as i32) * LOG10_2) as i32;
    let mut index = ((guess - POWER_FIRST) / POWER_STEP) as usize;
    loop {
        let power = POWER_FIRST + index as i32 * POWER_STEP;
        // 217706 / 2^16 is the binary logarithm of ten.
        let scaled = Scaled { fraction: POWERS[index], exponent: ((power * 217_706) >> 16) - 63 };
        match exponent + scaled.exponent + 64 {
            ..-60 => index += 1,
            -60..=-32 => return (scaled, power),
            _ => index -= 1,
        }
    }
}

const POWER_FIRST: i32 = -348;
const POWER_STEP: i32 = 8;

/// 10^-348, 10^-340, ..., 10^340: the leading 64 bits, rounded.
const POWERS: [u64; 87] = [
    0xfa8f_d5a0_081c_0288,
    0xbaae_e17f_a23e_bf76,
    0x8b16_fb20_3055_ac76,
    0xcf42_894a_5dce_35ea,
    0x9a6b_b0aa_5565_3b2d,
    0xe61a_cf03_3d1a_45df,
    0xab70_fe17_c79a_c6ca,
    0xff77_b1fc_bebc_dc4f,
    0xbe56_91ef_416b_d60c,
    0x8dd0_1fad_907f_fc3c,
    0xd351_5c28_3155_9a83,
    0x9d71_ac8f_ada6_c9b5,
    0xea9c_2277_23ee_8bcb,
    0xaecc_4991_4078_536d,
    0x823c_1279_5db6_ce57,
    0xc210_9436_4dfb_5637,
    0x9096_ea6f_3848_984f,
    0xd774_85cb_2582_3ac7,
    0xa086_cfcd_97bf_97f4,
    0xef34_0a98_172a_ace5,
    0xb238_67fb_2a35_b28e,
    0x84c8_d4df_d2c6_3f3b,
    0xc5dd_4427_1ad3_cdba,
    0x936b_9fce_bb25_c996,
    0xdbac_6c24_7d62_a584,
    0xa3ab_6658_0d5f_daf6,
    0xf3e2_f893_dec3_f126,
    0xb5b5_ada8_aaff_80b8,
    0x8762_5f05_6c7c_4a8b,
    0xc9bc_ff60_34c1_3053,
    0x964e_858c_91ba_2655,
    0xdff9_7724_7029_7ebd,
    0xa6df_bd9f_b8e5_b88f,
    0xf8a9_5fcf_8874_7d94,
    0xb944_7093_8fa8_9bcf,
    0x8a08_f0f8_bf0f_156b,
    0xcdb0_2555_6531_31b6,
    0x993f_e2c6_d07b_7fac,
    0xe45c_10c4_2a2b_3b06,
    0xaa24_2499_6973_92d3,
    0xfd87_b5f2_8300_ca0e,
    0xbce5_0864_9211_1aeb,
    0x8cbc_cc09_6f50_88cc,
    0xd1b7_1758_e219_652c,
    0x9c40_0000_0000_0000,
    0xe8d4_a510_0000_0000,
    0xad78_ebc5_ac62_0000,
    0x813f_3978_f894_0984,
    0xc097_ce7b_c907_15b3,
    0x8f7e_32ce_7bea_5c70,
    0xd5d2_38a4_abe9_8068,
    0x9f4f_2726_179a_2245,
    0xed63_a231_d4c4_fb27,
    0xb0de_6538_8cc8_ada8,
    0x83c7_088e_1aab_65db,
    0xc45d_1df9_4271_1d9a,
    0x924d_692c_a61b_e758,
    0xda01_ee64_1a70_8dea,
    0xa26d_a399_9aef_774a,
    0xf209_787b_b47d_6b85,
    0xb454_e4a1_79dd_1877,
    0x865b_8692_5b9b_c5c2,
    0xc835_53c5_c896_5d3d,
    0x952a_b45c_fa97_a0b3,
    0xde46_9fbd_99a0_5fe3,
    0xa59b_c234_db39_8c25,
    0xf6c6_9a72_a398_9f5c,
    0xb7dc_bf53_54e9_bece,
    0x88fc_f317_f222_41e2,
    0xcc20_ce9b_d35c_78a5,
    0x9816_5af3_7b21_53df,
    0xe2a0_b5dc_971f_303a,
    0xa8d9_d153_5ce3_b396,
    0xfb9b_7cd9_a4a7_443c,
    0xbb76_4c4c_a7a4_4410,
    0x8bab_8eef_b640_9c1a,
    0xd01f_ef10_a657_842c,
    0x9b10_a4e5_e991_3129,
    0xe710_9bfb_a19c_0c9d,
    0xac28_20d9_623b_f429,
    0x8044_4b5e_7aa7_cf85,
    0xbf21_e440_03ac_dd2d,
    0x8e67_9c2f_5e44_ff8f,
    0xd433_179d_9c8c_b841,
    0x9e19_db92_b4e3_1ba9,
    0xeb96_bf6e_badf_77d9,
    0xaf87_023b_9bf0_ee6b,
];

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::super::random::seeded;
    use super::*;

    fn text(value: f64) -> String {
        let digits = ShortDigits::new(value);
        format!("{}e{}", core::str::from_utf8(digits.digits()).unwrap(), digits.power())
    }

    #[test]
    fn digits_are_those_of_redis() {
        for (value, expected) in [
            (1.0, "1e0"),
            (0.1, "1e-1"),
            (123.456, "123456e-3"),
            (1e23, "9999999999999999e7"),
            (5e-324, "5e-324"),
            (f64::MIN_POSITIVE, "22250738585072014e-324"),
            (f64::MAX, "17976931348623157e292"),
            (9_007_199_254_740_992.0, "9007199254740992e0"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn every_number_reads_back() {
        let mut random = seeded(1);
        for step in 0..200_000 {
            let value = match step % 3 {
                0 => f64::from_bits(random() >> 1),
                1 => (random() % 1_000_000_000) as f64 / 1e6,
                _ => f64::from_bits(random() >> 12),
            };
            if value > 0.0 && value.is_finite() {
                let text = text(value);
                assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{text}");
            }
        }
    }
}
