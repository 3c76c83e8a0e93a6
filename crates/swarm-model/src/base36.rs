//! Numbers in base 36, as Docker writes them in tokens: digits and small letters, highest first,
//! filled up with zeros to a fixed length.

/// Writes the number in `bytes` (highest first) with `letters` letters. What does not fit is cut off
/// at the front; callers give enough letters.
pub fn write(bytes: &[u8], letters: usize) -> String {
    let mut number = zeroize::Zeroizing::new(bytes.to_vec());
    let mut text = vec!['0'; letters];
    for letter in text.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in number.iter_mut() {
            let value = rest << 8 | u32::from(*byte);
            // The rest is below 36, so the quotient is below 256.
            *byte = ((value / 36) & 0xff) as u8;
            rest = value % 36;
        }
        *letter = char::from_digit(rest, 36).unwrap_or('0');
    }
    text.into_iter().collect()
}

/// Reads a number of `N` bytes; `None` if a letter is not of base 36 or the number is too large.
pub fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut number = [0_u8; N];
    for letter in text.chars() {
        let mut carry = letter.to_digit(36).filter(|_| !letter.is_ascii_uppercase())?;
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 36 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers() {
        assert_eq!(write(&[0; 16], 25), "0".repeat(25));
        assert_eq!(write(&[35], 2), "0z");
        assert_eq!(write(&[255; 16], 25), "f5lxx1zz5pnorynqglhzmsp33");
        assert_eq!(read::<1>("73"), Some([255]));
        assert_eq!(read::<1>("74"), None);
        assert_eq!(read::<1>("A"), None);
        assert_eq!(read::<2>("1-"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            prop_assert_eq!(read::<32>(&write(&bytes, 50)), Some(bytes));
        }
    }
}
